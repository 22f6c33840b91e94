"""The walk of docs/doors.md, as it is written: each command is run, and prints what the page says. And in Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from api.keys.keyring import LOOKED_AT_EVERY_S
from tests.support.browser import WAIT_MS
from tests.support.stack import ROOT, Stack
from tests.support.upload_page import PICTURES, card, choose, expect_cards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PAGE = (ROOT / "docs" / "doors.md").read_text()
START = "```sh\nAPI_KEYS_FILE=$PWD/data/keys make run\n```"
ADDRESS = "127.0.0.1:8000"  # as the page has it; curl is led to the port that the test's service has
TIMEOUT_S = 120
CAT, CUP, ROCKET = PICTURES / "chelsea.jpg", PICTURES / "coffee.jpg", PICTURES / "rocket.jpg"
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


def keys(*words: str | Path) -> str:
    """What ``python -m api.keys`` prints."""
    command = [sys.executable, "-m", "api.keys", "--file", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def give(page: Page, key: str) -> None:
    expect(page.get_by_label("Your key")).to_be_focused()
    page.get_by_label("Your key").fill(key)
    page.keyboard.press("Enter")


def test_a_person_walks_the_same_way_in_a_browser(browser: Browser, tmp_path):
    """Refused without a key, served with it, refused over its limit, with the old one, and at last with any."""
    file = tmp_path / "keys"
    first = keys(file, "new", "visitor", "--scope", "classify", "--requests-per-day", "5")
    with Stack(tmp_path / "data", API_KEYS_FILE=str(file), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        context = browser.new_context()
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(stack.url)
        choose(page, CAT)
        page.get_by_role("dialog", name="This service needs a key").wait_for()
        page.keyboard.press("Escape")
        expect(card(page, "failed")).to_contain_text("This service needs a key.")
        page.get_by_role("button", name="Try again").click()
        give(page, first)
        expect_cards(page, "done", 1)

        second = keys(file, "rotate", "visitor")
        time.sleep(LOOKED_AT_EVERY_S)  # in all processes
        page.reload()
        choose(page, CUP)
        give(page, first)
        expect(page.get_by_role("alert")).to_contain_text("does not know this key")
        give(page, second)
        expect_cards(page, "done", 1)

        choose(page, *(8 * [ROCKET]))
        expect(card(page, "failed").last).to_contain_text("5 requests a day")

        keys(file, "revoke", "visitor")
        time.sleep(LOOKED_AT_EVERY_S)
        page.reload()
        choose(page, CAT)
        give(page, second)
        expect(page.get_by_role("alert")).to_contain_text("does not know this key")
        context.close()
