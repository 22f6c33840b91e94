"""Watching over a candidate: if its computations fail more often than the current version's, it loses its share.

Of each version the latest few hundred computations count (``contract.tallies``).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from redis.exceptions import WatchError

from contract import model_state, tallies
from contract.errors import BackendDown
from contract.model_changes import Change
from contract.model_state import read_state
from contract.model_version import ModelVersion
from contract.redis_clients import redis_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

log = logging.getLogger(__name__)

LEAST_FAILED = 5  # before anything is concluded
MOST_MORE = 0.05  # of its computations that may fail beyond the share of the current version's


class CandidateWatch:
    """One per API process; the counts are in Redis, and of all of them.

    Attributes:
        count_withdrawn: called when a candidate has lost its share.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.count_withdrawn: Callable[[], None] = lambda: None

    def saw(self, model: ModelVersion, *, failed: bool) -> None:
        """Count a computation of a version of a model that has a candidate; never raises."""
        with suppress(BackendDown), redis_errors():
            tallies.count(self._redis, model.key, failed=failed)
            if failed:
                self._judge(model)

    def _judge(self, model: ModelVersion) -> None:
        state = read_state(self._redis, model.name)
        if state is None or state.candidate != model.version or not (state.share or state.shadow):
            return
        candidate, current = tallies.read(self._redis, model.key, ModelVersion(model.name, state.current).key)
        if candidate.failed < LEAST_FAILED or candidate.failed_share <= current.failed_share + MOST_MORE:
            return
        words = (
            f"{model} lost its share: {candidate.failed} of its {candidate.requests} computations failed, and "
            f"{current.failed} of {current.requests} of the current version's"
        )
        wanted = replace(state, share=0, shadow=0, generation=state.generation + 1)
        with suppress(WatchError):  # somebody has just changed it, or another process has done this
            model_state.change(
                self._redis, model.name, state, wanted, Change(action="withdraw", by="the service", words=words)
            )
            log.error("%s", words)
            self.count_withdrawn()
