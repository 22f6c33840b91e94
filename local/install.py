"""``python -m local.install FILE``: pip, with a word on what it is at; on a terminal one line that changes.

By itself pip writes hundreds of lines or, if told to be quiet, none for the time that a newcomer waits. Needs nothing
but Python: it installs all the rest.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

A_LINE_EVERY = 15  # packages, where lines can't change
LINE_WIDTH = 78
PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off")


def main(arguments: list[str]) -> int:
    """Install the packages of a lock file.

    Returns:
        The exit code: pip's, after what it has to say of it.
    """
    lock_file = Path(arguments[0])
    with subprocess.Popen((*PIP, "-r", str(lock_file)), stdout=subprocess.PIPE, text=True) as pip:  # noqa: S603  our own arguments
        assert pip.stdout is not None  # noqa: S101  a pipe was asked for
        show(steps(pip.stdout, len(packages(lock_file.read_text()))), sys.stdout)
    return pip.returncode


def packages(lock_file: str) -> list[str]:
    """The names in a lock file."""
    return re.findall(r"^([A-Za-z0-9][\w.-]*)==", lock_file, re.MULTILINE)


def steps(said: Iterable[str], total: int) -> Iterator[tuple[int, str]]:
    """What pip is at, by what it says: how many packages it has begun with, and a sentence.

    Args:
        total: how many packages there are.
    """
    begun = 0
    name = ""
    for line in said:
        match line.split():
            case ["Ignoring", *_]:  # it is for another system
                total -= 1
            case ["Collecting" | "Requirement", *rest]:
                begun += 1
                name = next((word.split("==")[0] for word in rest if "==" in word), "")
                yield begun, f"{begun} of {total}: {name}"
            case ["Processing", path, *_]:  # a wheel on this machine
                begun += 1
                name = Path(path).name.split("-")[0]
                yield begun, f"{begun} of {total}: {name}"
            case ["Downloading", _, *size]:
                yield begun, f"{begun} of {total}: {name} {' '.join(size)}".rstrip()
            case ["Installing", "collected", *_]:
                yield total, f"{total} of {total} are here; unpacking them"


def show(steps: Iterable[tuple[int, str]], stream: TextIO) -> None:
    """Write the steps: all of them in one line on a terminal, elsewhere some of them, each in a line of its own."""
    told, changing = 0, stream.isatty()
    for begun, sentence in steps:
        if changing:
            stream.write(f"\r  {sentence[:LINE_WIDTH]:<{LINE_WIDTH}}")
        elif begun >= told + A_LINE_EVERY or "unpacking" in sentence:
            told = begun
            stream.write(f"  {sentence}\n")
        stream.flush()
    if changing:
        stream.write("\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
