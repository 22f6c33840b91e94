"""The check that a candidate has to pass before it is promoted: what is known of it, in Redis. No HTTP here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.errors import ModelNotChanged
from contract import checks
from contract.redis_clients import redis_errors
from contract.worker_registry import live_workers_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from redis import Redis

    from contract.model_version import ModelVersion


class Checks:
    """One per API process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def demand_passed(self, candidate: ModelVersion, digests: Collection[str], current: ModelVersion) -> None:
        """See that the candidate has passed a check against the current version, with the bundles that are served now.

        Args:
            digests: of the candidate's.

        Raises:
            ModelNotChanged: it has not; the message has the figures.
            BackendDown: Redis does not answer.
        """
        with redis_errors():
            check = checks.read(self._redis, candidate)
            current_digests = {entry.digest for entry in live_workers_of(self._redis, [current.key])}
        if check is None:
            raise ModelNotChanged(f"{candidate} has not been checked; nothing was changed")
        if check.report is None:
            how = f"has ended without a report ({check.fault})" if check.fault else "is still running"
            raise ModelNotChanged(f"the check of {candidate} {how}; nothing was changed")
        checked = check.against == current.key and current_digests <= set(check.against_digests)
        if not (checked and set(digests) <= set(check.digests)):
            raise ModelNotChanged(
                f"{candidate} was checked against another version, or with another bundle: check it again"
            )
        if not check.report.passed:
            raise ModelNotChanged(f"{candidate} has not passed its check: {check.report.verdict}; nothing was changed")
