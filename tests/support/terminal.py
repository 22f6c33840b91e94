"""What a reader of the documentation types, in one shell from a page's first command to its last."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.support.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "127.0.0.1:8000"  # as the pages have it; curl is led to the port that a test's service has
TIMEOUT_S = 120
END = "--- end of what this command printed, with status"
_BLOCK = re.compile(r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?:console|sh)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (?P<command>(?:[^\n]*\\\n)*[^\n]*)\n(?P<printed>(?:(?!\$ )[^\n]*\n)*)", re.MULTILINE)


class Block(NamedTuple):
    """A block of commands of a page; ``mark`` is the comment on the line before it, or empty."""

    mark: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command, and what it prints according to the page."""
        return [(found["command"], found["printed"].rstrip("\n")) for found in _COMMAND.finditer(self.text)]


class Printed(NamedTuple):
    """What a command printed, without the line ends after it, and its exit status."""

    text: str
    status: int


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that hold commands, with or without what these print."""
    for found in _BLOCK.finditer(page):
        yield Block(found["mark"] or "", found["text"])


class Terminal:
    """One shell from the first command to the last, in a folder that looks like the project's."""

    def __init__(self, folder: Path, port: int, **environment: str) -> None:
        for entry in ROOT.iterdir():
            if entry.name not in {".git", "data"} and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
        (folder / ".curlrc").write_text(f"silent\nshow-error\nconnect-to = {ADDRESS}:127.0.0.1:{port}\n")
        own = {"CURL_HOME": str(folder), "PYTHONPATH": str(ROOT), "no_proxy": "*"}
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, env={**os.environ, **own, **environment}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.communicate(timeout=TIMEOUT_S)

    def run(self, command: str) -> Printed:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        # What a command prints last may be without an end of line, as an answer's body is.
        self._shell.stdin.write(f"{command}\nstatus=$?; echo; echo '{END}' $status\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        while not (lines and lines[-1].startswith(END)):
            line = self._shell.stdout.readline()
            assert line, f"the shell ended in {command}"
            lines.append(line)
        return Printed("".join(lines[:-1]).rstrip("\n"), int(lines[-1].removeprefix(END)))
