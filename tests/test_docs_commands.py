"""The commands of the pages, run from the project's folder as a reader would, against the service that they speak of.

Of these pages every block without a mark is run here, in one shell a page; what a command prints is compared where the
page shows it. ``...`` stands for anything. The marks are in tests/test_docs.py.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.stack import ROOT, Stack
from tests.support.terminal import Terminal, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = ("README.md", "docs/feedback.md", "docs/metrics.md", "docs/models.md")
KEY = "an-admin-key-for-these-pages"
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),  # of the model; a picture's is its file's, and so always the same
    (re.compile(r'("\w+":)[\d.]+'), r"\1<number>"),
    (re.compile(r"0\.\d{2,4}\b"), "<score>"),  # processors differ in their int8 arithmetic
    (re.compile(r"(?<=\.csv)( +<time> +)\d+"), r"\1<size>"),
]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """As ``make run`` starts it, with a key for the operator and the model that the pages' answers are of."""
    model = str(ROOT / "models" / "resnet50-int8")
    with Stack(tmp_path_factory.mktemp("docs"), ADMIN_API_KEY=KEY, MODEL_PATH=model, WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


def without_what_varies(printed: str) -> str:
    for pattern, name in VARYING:
        printed = pattern.sub(name, printed)
    return printed


def as_pattern(shown: str) -> str:
    return re.escape(without_what_varies(shown)).replace(re.escape("..."), ".*")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_does_what_the_page_says(page, stack, tmp_path):
    ran = 0
    with Terminal(tmp_path, stack.port, ADMIN_API_KEY=KEY) as terminal:
        for block in blocks((ROOT / page).read_text()):
            for command, shown in [] if block.mark else block.commands:
                found = terminal.run(command)
                ran += 1

                assert found.status == 0, f"{command}\n{found.text}"
                if shown:
                    assert re.fullmatch(as_pattern(shown), without_what_varies(found.text), re.DOTALL), (
                        f"{command}\n{found.text}"
                    )
    assert ran
