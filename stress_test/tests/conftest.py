"""What the tests of the benchmark need from the machine."""

from __future__ import annotations

import shutil

import pytest

from tests.support.missing import skip_or_fail


@pytest.fixture(scope="session")
def wrk() -> str:
    """The load generator's path."""
    found = shutil.which("wrk")
    if found is None:
        skip_or_fail("no wrk here: install Debian's package of that name")
    return found
