from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.containers.compose import Compose, why_not
from tests.support.stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:  # noqa: ARG001
    """Building images takes minutes: only ``pytest tests/containers``, which names this folder, runs these."""
    return None if any("containers" in argument for argument in config.args) else True


@pytest.fixture(scope="session")
def compose() -> Iterator[Compose]:
    """The whole service, built and started with two workers; nothing of it is left at the end."""
    if reason := why_not():
        pytest.skip(reason)
    compose = Compose(free_port())
    try:
        compose.up("--build", "--scale", "model=2")
        yield compose
    finally:
        print(compose.run("logs", "--no-color", "--tail=100"), file=sys.stderr)  # shown if a test failed
        compose.run("down", "-v", "--remove-orphans")
