"""Sends a crowd of users to a service and returns what they measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.measurement import Measurement
from stress_test.senders import WITHOUT_KEYS, Senders

ROOT = Path(__file__).parents[1]
START_AND_STOP_WITHIN_S = 60.0


def send_crowd(
    url: str, users: int, *, warm_up_s: float, seconds: float, known_share: float = 0.0, senders: Senders = WITHOUT_KEYS
) -> Measurement:
    """Let ``users`` visit the service at ``url`` for ``seconds``, after ``warm_up_s`` that do not count.

    Args:
        known_share: of the uploads, 0 to 1, that are pictures which the service has seen before.
        senders: whose keys the users have, in turns.

    Raises:
        CannotMeasure: Locust did not run.
    """
    command = [sys.executable, "-m", "stress_test.crowd", url, *map(str, (users, known_share, warm_up_s, seconds))]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment_with(**senders.environment),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=warm_up_s + seconds + START_AND_STOP_WITHIN_S,
            start_new_session=True,  # Ctrl-C reaches only the parent, which then kills this
        )
    except subprocess.SubprocessError as error:
        raise CannotMeasure(f"Locust with {users} users did not come to its end: {error}") from error
    return Measurement.from_json(done.stdout)
