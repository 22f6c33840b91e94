"""Every claim of docs/threat-model.md names a test, and every test that it names is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
CLAIMS = "| what is tried | what stops it | shown by |\n|---|---|---|\n"
NAMED = re.compile(r"`(?P<file>[\w/]+\.py)::(?P<test>\w+)`")
ROWS = [row for table in PAGE.split(CLAIMS)[1:] for row in table.partition("\n\n")[0].splitlines()]


@cache
def found_in(file: str) -> set[str]:
    """Those that pytest would find there: a function that stands in the module itself, under a name for tests."""
    path = ROOT / file
    if not path.is_file() or not path.name.startswith("test_"):
        return set()
    return set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:60])
def test_every_claim_says_what_is_tried_what_stops_it_and_which_test_shows_it(row):
    _, tried, stops, shown, _ = (cell.strip() for cell in row.split("|"))
    left = NAMED.sub("", shown).strip(", ")

    assert tried
    assert stops
    assert NAMED.search(shown)
    assert left == "", "nothing but tests stands in the last column"


def test_every_test_that_the_page_names_exists():
    missing = [found[0] for found in NAMED.finditer(PAGE) if found["test"] not in found_in(found["file"])]

    assert missing == []


def test_no_table_of_claims_goes_by_unseen():
    """Each table whose last column names tests has the head that this file looks for."""
    assert len(ROWS) == len([line for line in PAGE.splitlines() if "::test_" in line])
    assert len(ROWS) > 30


def test_the_page_says_what_is_not_stopped():
    _, _, not_stopped = PAGE.partition("\n## What is not stopped\n")

    assert len(re.findall(r"^- \*\*", not_stopped, re.MULTILINE)) >= 5
