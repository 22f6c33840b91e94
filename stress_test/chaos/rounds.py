"""One fault under steady load, and how long the service took to recover."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stress_test.traffic.fates import Fate, Sent, counts
from stress_test.traffic.open_loop import OpenLoop

if TYPE_CHECKING:
    import itertools
    from collections.abc import Sequence

    from stress_test.chaos.faults import Fault
    from stress_test.site import Site
    from stress_test.traffic.sender import Sender

BEFORE_S = 1.5
BURST = 8  # requests just before a fault, so that it meets workers in the middle of a batch
BURST_REACHES_WORKERS_S = 0.05
STEADY_S = 3.0  # all requests that were sent for so long are answered: the rate is back
RECOVERS_WITHIN_S = 25.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Round:
    """Times in seconds, from the moment before the fault; None: not before the round's end.

    Attributes:
        first_right_s: until a request that was sent after that moment was answered right.
        rate_back_s: until the last request was sent that was not; 0 if all were.
    """

    fault: str
    requests: tuple[Sent, ...]
    first_right_s: float | None
    rate_back_s: float | None

    @property
    def fates(self) -> dict[Fate, int]:
        return counts(self.requests)

    @classmethod
    def of(cls, fault: str, requests: Sequence[Sent], fault_s: float, over_s: float) -> Round:
        """Judge a round.

        Args:
            fault_s: when the fault was injected, of ``time.monotonic``.
            over_s: when the last request was sent.
        """
        after = [sent for sent in requests if sent.sent_s >= fault_s]
        right = [sent.ended_s for sent in after if sent.fate is Fate.ANSWERED]
        last_bad_s = max((sent.sent_s for sent in after if sent.fate is not Fate.ANSWERED), default=fault_s)
        back = over_s - last_bad_s >= STEADY_S / 2
        return cls(
            fault,
            tuple(requests),
            min(right) - fault_s if right else None,
            last_bad_s - fault_s if back else None,
        )


def run_round(site: Site, sender: Sender, fault: Fault, rate: float, numbers: itertools.count[int]) -> Round:
    """Inject ``fault`` under load and wait for every request's end.

    Args:
        rate: requests per second.

    Raises:
        CannotMeasure: the service is not whole afterwards.
    """
    injected = False

    def send(number: int) -> Sent:
        return sender.send(number, lambda: fault.forgets and injected)

    with OpenLoop(send, rate, numbers) as load:
        time.sleep(BEFORE_S)
        load.burst(BURST)
        time.sleep(BURST_REACHES_WORKERS_S)
        fault_s = time.monotonic()
        injected = True
        fault.inject(site)
        _wait_until_steady(load)
        over_s = time.monotonic()
    site.wait_until_whole()
    return Round.of(fault.name, load.ended(), fault_s, over_s)


def _wait_until_steady(load: OpenLoop) -> None:
    """Until ``STEADY_S`` without a request that failed, and at least so long; bounded."""
    mended_s = time.monotonic()
    while (now := time.monotonic()) < mended_s + RECOVERS_WITHIN_S:
        bad = [sent.sent_s for sent in load.ended() if sent.fate is not Fate.ANSWERED]
        oldest_open_s = load.oldest_open_s()
        if now - max([mended_s, *bad]) > STEADY_S and now - oldest_open_s < STEADY_S:
            return
        time.sleep(LOOK_EVERY_S)
