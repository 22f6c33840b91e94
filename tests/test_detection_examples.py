"""What README.md and docs/client.md say of objects, run against a service that has both networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from classifier_client import Client
from tests.support.stack import ROOT, Stack
from tests.support.terminal import Terminal, blocks
from tests.test_docs_commands import as_pattern, without_what_varies

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

MARK = f"run by tests/{Path(__file__).name}"
PROGRAM = re.compile(rf"<!-- {MARK} -->\n```python\n(.*?)```\n\n```text\n(.*?)```\n", re.DOTALL)


@pytest.fixture(scope="module")
def stack(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """As ``make run`` starts it, but for the precision, so that scores are the pages'."""
    served = f"{models / 'resnet50-int8'},ssdlite-mobilenetv2"
    with Stack(tmp_path_factory.mktemp("stack"), MODELS=served, WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def test_the_readmes_second_example_finds_what_it_shows(stack, tmp_path):
    (block,) = [block for block in blocks((ROOT / "README.md").read_text()) if block.mark == MARK]
    with Terminal(tmp_path, stack.port) as terminal:
        for command, shown in block.commands:
            found = terminal.run(command)

            assert re.fullmatch(as_pattern(shown), without_what_varies(found.text), re.DOTALL), found.text


def test_the_clients_example_finds_what_it_shows(stack, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    ((program, printed),) = PROGRAM.findall((ROOT / "docs" / "client.md").read_text())
    with Client(stack.url) as client:
        exec(compile(program, "client.md", "exec"), {"client": client})  # noqa: S102  # our own page

    assert capsys.readouterr().out == printed
