"""The walk of docs/doors.md, as it is written: each command is run, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.stack import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "doors.md").read_text()
START = "```sh\nAPI_KEYS_FILE=$PWD/data/keys make run\n```"
ADDRESS = "127.0.0.1:8000"  # as the page has it; curl is led to the port that the test's service has
TIMEOUT_S = 120
END = "--- end of what this command printed"
COMMAND = re.compile(r"^\$ (?P<command>(?:[^\n]*\\\n)*[^\n]*)\n(?P<printed>(?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)
VARYING = [
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"0\.\d{2,4}\b"), "<score>"),  # processors differ in their int8 arithmetic
    (re.compile(r'";r=\d+;t=\d+'), '";r=<left>;t=<seconds>'),
    (re.compile(r"again in \d+ \w+"), "again in <a while>"),
]

pytestmark = pytest.mark.long


class Terminal:
    """One shell from the first command to the last, in a folder that looks like the project's."""

    def __init__(self, folder: Path, port: int) -> None:
        for name in (".venv", "tests"):
            (folder / name).symlink_to(ROOT / name)
        (folder / ".curlrc").write_text(f"connect-to = {ADDRESS}:127.0.0.1:{port}\n")
        environment = {**os.environ, "CURL_HOME": str(folder), "PYTHONPATH": str(ROOT), "no_proxy": "*"}
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, command: str) -> str:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # What a command prints last may be without an end of line, as an answer's body is.
        self._shell.stdin.write(f"{command}\necho; echo '{END}'\n")
        self._shell.stdin.flush()
        printed = "".join(iter(self._shell.stdout.readline, f"{END}\n"))
        return printed.removesuffix("\n").rstrip("\n")

    def close(self) -> None:
        self._shell.communicate(timeout=TIMEOUT_S)


def commands(text: str) -> Iterator[tuple[str, str]]:
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for found in COMMAND.finditer(block):
            yield found["command"], found["printed"].rstrip("\n")


def without_what_varies(printed: str) -> str:
    for pattern, name in VARYING:
        printed = pattern.sub(name, printed)
    return printed


def test_every_command_of_the_walk_prints_what_the_page_says(tmp_path):
    before, start, after = PAGE.partition(START)
    stack = Stack(tmp_path / "data", API_KEYS_FILE=str(tmp_path / "data" / "keys"), WORKERS="1")
    terminal = Terminal(tmp_path, stack.port)
    told = [(command, printed, terminal.run(command)) for command, printed in commands(before)]
    with stack:
        assert "Ready in" in stack.printed, stack.printed
        told += [(command, printed, terminal.run(command)) for command, printed in commands(after)]
        terminal.close()

    assert start
    assert len(told) > 15
    for command, printed, found in told:
        assert without_what_varies(found) == without_what_varies(printed), command
