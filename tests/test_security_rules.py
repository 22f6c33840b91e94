"""Ruff's security rules (``S``) hold for the whole tree, and whoever turns one off for a line says why."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TURNED_OFF = re.compile(r"# noqa: (?P<codes>[A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<reason>.*)$")


def lint() -> dict[str, list[str] | dict[str, list[str]]]:
    settings: dict[str, list[str] | dict[str, list[str]]]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    return settings


def is_security(code: str) -> bool:
    return re.fullmatch(r"S\d*", code) is not None


def test_no_security_rule_is_off_for_the_whole_tree_or_for_what_serves():
    ignored = lint()["ignore"]
    by_file = lint()["per-file-ignores"]
    assert isinstance(by_file, dict)
    loosened = {pattern for pattern, codes in by_file.items() if any(map(is_security, codes))}

    assert lint()["select"] == ["ALL"]
    assert not any(map(is_security, ignored))
    assert loosened == {"**/tests/*", "tests/*", "conftest.py", "docs/*", "model/evaluation/*", "stress_test/*"}


def test_every_line_without_a_security_rule_says_why():
    sources = [path for path in ROOT.glob("[a-z]*/**/*.py") if path.is_file()]
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := TURNED_OFF.search(line))
        and any(map(is_security, found["codes"].replace(" ", "").split(",")))
        and len(re.findall("[a-z]+", found["reason"])) < 2
    ]

    assert len(sources) > 100
    assert silent == []
