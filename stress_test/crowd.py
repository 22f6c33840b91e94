"""Locust's users without its page: ``python -m stress_test.crowd URL USERS KNOWN_SHARE WARM_UP_S SECONDS``.

Prints a measurement as JSON.

A process of its own, because importing Locust makes gevent replace Python's sockets and threads.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import gevent
from locust.env import Environment

from stress_test.locustfile import KNOWN, PAGE, PREDICT, REFUSED, Visitor
from stress_test.measurement import Measurement

if TYPE_CHECKING:
    from locust.stats import RequestStats

ARRIVALS_PER_S = 100  # the most that Locust starts without a warning


def measure(url: str, users: int, known_share: float, warm_up_s: float, seconds: float) -> Measurement:
    """Let ``users`` visit the service; what happens in the first ``warm_up_s`` is not counted."""
    visitor = type("CrowdVisitor", (Visitor,), {"known_share": known_share})
    environment = Environment(user_classes=[visitor], host=url)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=min(users, ARRIVALS_PER_S))
    gevent.sleep(warm_up_s)
    environment.stats.reset_all()
    began, cpu_before = time.monotonic(), time.process_time()
    gevent.sleep(seconds)
    elapsed_s, cpu_s = time.monotonic() - began, time.process_time() - cpu_before
    measurement = _read(environment.stats, users, elapsed_s, cpu_s)
    runner.quit()
    return measurement


def _read(stats: RequestStats, users: int, elapsed_s: float, cpu_s: float) -> Measurement:
    pages, predictions, known = stats.get(PAGE, "GET"), stats.get(PREDICT, "POST"), stats.get(KNOWN, "POST")
    return Measurement(
        users=users,
        seconds=elapsed_s,
        pages=pages.num_requests - pages.num_failures,
        predictions=predictions.num_requests - predictions.num_failures,
        known=known.num_requests - known.num_failures,
        refused=stats.get(REFUSED, "POST").num_requests,
        failures={f"{error.method} {error.name}: {error.error}": error.occurrences for error in stats.errors.values()},
        p50_ms=predictions.get_response_time_percentile(0.50),
        p95_ms=predictions.get_response_time_percentile(0.95),
        p99_ms=predictions.get_response_time_percentile(0.99),
        known_p50_ms=known.get_response_time_percentile(0.50),
        known_p99_ms=known.get_response_time_percentile(0.99),
        generator_cpu_s=cpu_s,
    )


def main() -> int:
    url, users, known_share, warm_up_s, seconds = sys.argv[1:]
    print(measure(url, int(users), float(known_share), float(warm_up_s), float(seconds)).to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
