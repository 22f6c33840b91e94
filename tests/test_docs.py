"""What the documentation says of the code is written by the code, or checked against it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.openapi.document import load
from api.settings import Settings
from docs import redis_reference, routes_reference, settings_reference
from tests import test_docs_commands
from tests.support.terminal import blocks

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_every_setting_is_documented_as_it_is():
    """Run ``make docs`` after changing a setting."""
    assert settings_reference.ENV_EXAMPLE.read_text() == settings_reference.env_example()
    assert settings_reference.CONFIGURATION.read_text() == settings_reference.configuration()


def test_what_redis_users_may_do_is_documented_and_deployed_as_it_is():
    """Run ``make docs`` after changing contract/redis_users.py: Compose's Redis knows what that writes, and no more."""
    page = redis_reference.PAGE.read_text()

    assert redis_reference.page(page) == page
    assert redis_reference.USERS_FILE.read_text() == redis_reference.users_template()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(page):
    """A newcomer follows the README's links first."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)|src=\"([^\":]+)\"", page.read_text())

    assert [target for pair in targets for target in pair if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page):
    named = set(re.findall(r"`make ([a-z]+)", page.read_text()))
    existing = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert named <= existing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_command_that_a_page_names_runs_in_the_projects_environment(page):
    """A newcomer's own python knows none of what ``make`` installed."""
    bare = re.findall(r"(?<![\w./\x22-])(?:python3? (?:-m |tests/)|(?<!-m )pytest ).*", page.read_text())

    assert bare == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_commands_is_run_by_a_test_or_marked_as_not_run(page):
    """Commands that nobody runs rot first.

    The mark is a comment on the line before the block: ``not run: <why>``, or ``run by <a test's file>``; a page that
    has the second in its first lines is run as a whole.
    """
    name, text = str(page.relative_to(ROOT)), page.read_text()
    runner = re.match(r"# .*\n\n<!-- run by (\S+) -->\n", text)
    marks = [runner[1]] if runner else [block.mark.removeprefix("run by ") for block in blocks(text)]
    unmarked = [mark for mark in marks if not mark]
    whys = [mark for mark in marks if mark.startswith("not run: ")]
    tests = [mark.partition(",")[0] for mark in marks if mark and mark not in whys]

    assert not unmarked or name in test_docs_commands.PAGES
    assert [test for test in tests if not (ROOT / test).is_file()] == []


@pytest.mark.long
def test_every_request_that_the_page_of_routes_shows_is_answered_as_it_says():
    """Run ``make docs`` after changing what a route answers."""
    page = routes_reference.PAGE.read_text()
    shown, shown_scores = routes_reference.skeleton(page)
    fresh, fresh_scores = routes_reference.skeleton(routes_reference.answered(page))

    assert fresh == shown
    assert fresh_scores == pytest.approx(shown_scores, abs=routes_reference.SCORE_TOLERANCE)


def test_the_page_of_routes_shows_every_route():
    """Each under a heading of its own, such as ``### POST /predict``."""
    documented = load(Settings())["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in documented.items() for method in methods}

    assert set(re.findall(r"^### (.*)$", routes_reference.PAGE.read_text(), re.MULTILINE)) == operations
