"""The running service, for tests that use it as its users do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = Path(__file__).parent / "pictures"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The service with the real model, as ``make run`` starts it."""
    with Stack(tmp_path_factory.mktemp("stack")) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.fixture(scope="session")
def service_url(stack: Stack) -> str:
    return stack.url


@pytest.fixture(scope="session")
def feedback_csv(stack: Stack) -> Path:
    return stack.data_dir / "feedback" / "feedback.csv"


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest) -> str:
    """Any running stack: the one that BASE_URL names, or our own."""
    named = os.environ.get("BASE_URL")
    return named.rstrip("/") if named else str(request.getfixturevalue("service_url"))
