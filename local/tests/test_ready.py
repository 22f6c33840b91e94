"""What the first start says when it does not come to its end."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from local import ready
from local.supervisor import PartDied


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("no worker of lite has been ready yet", "within 0 s: no worker of lite has been ready yet"),
        ("", "within 0 s"),
    ],
)
def test_a_service_that_is_not_ready_in_time_says_what_is_known_of_why(monkeypatch, reason, said):
    """A slip in DEFAULT_MODEL ends no process: without this nothing would tell of it."""
    monkeypatch.setattr(ready, "READY_WITHIN_S", 0.0)

    with pytest.raises(PartDied, match=f"^the service was not ready {said}$"):
        ready.wait_for(MagicMock(), lambda: False, lambda: reason)
