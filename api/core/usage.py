"""How much each sender has used in this minute and today, and who has used up what he may.

Every process counts what comes to it, and remembers what Redis has counted of all of them. A sender is refused by what
his process knows: that costs no round trip. The counts go to Redis in pipelines that are sent anyway, and their replies
are the sums of all processes (docs/decisions/0040-limits-are-counted-on-the-way.md).
"""

from __future__ import annotations

import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from api.core.errors import OverLimit
from api.core.quotas import DAY, MINUTE, Unit
from contract import keys
from contract.send_too import hear_nothing
from contract.sender_jobs import OF_A_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis.client import Pipeline

    from api.core.quotas import Quota, Quotas, Window
    from contract.send_too import Told

MOST_SENDERS = 10_000  # that a process remembers, and of whose addresses each set in Redis holds the largest counts
OTHERS = "others"  # who comes after them, while they all send, shares one count with the others
KEYS, ADDRESSES = "keys", "addresses"  # kinds of senders
SLICES = 16  # a process keeps at most this part of its share of what a sender has left to itself
MOST_AT_ONCE = 250  # senders in one pipeline
PACE_S = 0.25  # between pipelines of requests that take along what everybody has used
SWEPT_EVERY_S = 1.0  # a table that is full is looked through no more often


class _Tally:
    """One sender's counts in one part of a window, by ``Unit``: what Redis said, what is on its way, what waits."""

    __slots__ = ("heard", "index", "known", "pending", "sent")

    def __init__(self, index: int) -> None:
        self.index = index
        self.known = False
        self.heard, self.sent, self.pending = [0] * len(Unit), [0] * len(Unit), [0] * len(Unit)

    def total(self, unit: Unit) -> int:
        return self.heard[unit] + self.sent[unit] + self.pending[unit]


class Account:
    """What one sender has used, as far as this process knows.

    Attributes:
        quotas: what he may use.
    """

    __slots__ = ("_clock", "_note", "day", "minute", "name", "quotas")

    def __init__(self, name: str, clock: Callable[[], float], note: Callable[[Account], None]) -> None:
        self.name = name
        self.quotas: Quotas = ()
        self._clock = clock
        self._note = note
        now = clock()
        self.minute, self.day = _Tally(MINUTE.index(now)), _Tally(DAY.index(now))

    def admit(self) -> None:
        """Count a request, before its body is read.

        Raises:
            OverLimit: the sender has used up what he may; it says when there is more.
        """
        self.turn()
        used_up = [quota for quota in self.quotas if not self._left(quota)]
        if used_up:
            raise self._refusal(used_up)
        self._add(Unit.REQUESTS, 1)

    def received(self, size_bytes: int) -> None:
        """Count a piece of a request's body, which has come.

        Raises:
            OverLimit: with it the sender has sent more than he may.
        """
        self.turn()
        self._add(Unit.BYTES, size_bytes)
        passed = [quota for quota in self.quotas if quota.unit is Unit.BYTES and self.total(quota) > quota.most]
        if passed:
            raise self._refusal(passed)

    def left(self) -> list[tuple[Quota, int, int]]:
        """What is left of each quota, and in how many seconds there is more."""
        self.turn()
        now = self._clock()
        return [(quota, self._left(quota), quota.window.left_s(now)) for quota in self.quotas]

    def turn(self) -> None:
        """Begin anew in another minute or day, be it an earlier one, because the clock was set back.

        What Redis has not been told of the old one by then is never told.
        """
        now = self._clock()
        if self.minute.index != MINUTE.index(now):
            self.minute = _Tally(MINUTE.index(now))
        if self.day.index != DAY.index(now):
            self.day = _Tally(DAY.index(now))

    def tally(self, window: Window) -> _Tally:
        return self.minute if window is MINUTE else self.day

    def total(self, quota: Quota) -> int:
        return self.tally(quota.window).total(quota.unit)

    @property
    def told_of(self) -> tuple[tuple[Window, _Tally], ...]:
        """What Redis counts of the sender: a minute only if a quota needs it."""
        day = (DAY, self.day)
        return ((MINUTE, self.minute), day) if any(quota.window is MINUTE for quota in self.quotas) else (day,)

    def _left(self, quota: Quota) -> int:
        return max(0, quota.most - self.total(quota))

    def _add(self, unit: Unit, amount: int) -> None:
        self.minute.pending[unit] += amount
        self.day.pending[unit] += amount
        self._note(self)

    def _refusal(self, quotas: Iterable[Quota]) -> OverLimit:
        self.day.pending[Unit.REFUSED] += 1
        self._note(self)
        now = self._clock()
        last = max(quotas, key=lambda quota: quota.window.left_s(now))
        left_s = last.window.left_s(now)
        return OverLimit(f"one sender may send {last.in_words}: try again in {_in_words(left_s)}", left_s)


class Usage:
    """One per API process; its requests share a thread.

    Args:
        processes: of the API, which all count.
        clock: Unix time in seconds: all processes have to count in the same minutes and days.
        pace: seconds that only go forward.
    """

    def __init__(
        self,
        processes: int,
        clock: Callable[[], float] = time.time,
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processes = processes
        self._clock = clock
        self._pace = pace
        self._accounts: dict[str, Account] = {}
        self._waiting: dict[str, Account] = {}  # of which Redis has not been told everything, first those that wait
        self._due: dict[str, Account] = {}  # of these, the ones that other processes should soon know of
        self._sent_all_at = self._swept_at = float("-inf")

    def __len__(self) -> int:
        """How many senders this process remembers."""
        return len(self._accounts)

    def account(self, name: str, quotas: Quotas) -> Account:
        """The sender's, or the one that he shares with others if there are too many senders.

        Args:
            quotas: what he may use; there may have been others before.
        """
        account = self._accounts.get(name)
        if account is None:
            if not name.startswith(OF_A_KEY) and not self._has_room():
                name = OTHERS
            account = self._accounts.get(name) or Account(name, self._clock, self._note)
            self._accounts[name] = account
        account.quotas = quotas
        return account

    def send_due(self, pipe: Pipeline) -> Told:
        """Send what others should soon know, and now and then everything: with what requests send."""
        if self._pace() - self._sent_all_at >= PACE_S:
            self._sent_all_at = self._pace()
            return self.send_all(pipe)
        return self._send(pipe, list(islice(self._due.values(), MOST_AT_ONCE))) if self._due else hear_nothing

    def send_all(self, pipe: Pipeline) -> Told:
        """Send everything, or as much as belongs into one pipeline: with what is sent every second or so."""
        if not self._waiting:
            return hear_nothing
        first = dict.fromkeys(
            (*islice(self._due.values(), MOST_AT_ONCE), *islice(self._waiting.values(), MOST_AT_ONCE))
        )
        return self._send(pipe, list(first)[:MOST_AT_ONCE])

    def _note(self, account: Account) -> None:
        """See whether a process has counted so much by itself that others should know.

        The less is left, the less that is: near its end a limit is kept to the last request that is not on its way.
        """
        self._waiting.setdefault(account.name, account)
        for quota in account.quotas:
            tally = account.tally(quota.window)
            own = tally.pending[quota.unit]
            left = max(0, quota.most - tally.total(quota.unit))
            if own and (not tally.known or own >= left // (SLICES * self._processes)):
                self._due[account.name] = account
                return

    def _has_room(self) -> bool:
        """Whether there is room for another sender; those go who sent nothing in this minute, and are all in Redis."""
        if len(self._accounts) >= MOST_SENDERS and self._pace() - self._swept_at >= SWEPT_EVERY_S:
            self._swept_at = self._pace()
            minute = MINUTE.index(self._clock())
            for name, account in list(self._accounts.items()):
                if account.minute.index != minute and name not in self._waiting and not any(account.day.sent):
                    del self._accounts[name]
        return len(self._accounts) < MOST_SENDERS

    def _send(self, pipe: Pipeline, accounts: Sequence[Account]) -> Told:
        sent: list[tuple[Account, _Tally, Unit, int]] = []
        sets: dict[str, tuple[Window, str]] = {}
        for account in accounts:
            self._waiting.pop(account.name, None)
            self._due.pop(account.name, None)
            senders = KEYS if account.name.startswith(OF_A_KEY) else ADDRESSES
            for window, tally in account.told_of:
                for unit in Unit:
                    amount = tally.pending[unit]
                    if amount:
                        key = keys.usage(senders, window.numbered(tally.index), unit.name.lower())
                        pipe.zincrby(key, amount, account.name)
                        sets[key] = window, senders
                        sent.append((account, tally, unit, amount))
                        tally.sent[unit] += amount
                        tally.pending[unit] = 0
        for key, (window, senders) in sets.items():
            pipe.expire(key, 2 * window.length_s)  # clocks may differ
            if senders == ADDRESSES:
                pipe.zremrangebyrank(key, 0, -MOST_SENDERS - 1)
        return partial(self._hear, sent)

    def _hear(self, sent: Sequence[tuple[Account, _Tally, Unit, int]], replies: Sequence[Any]) -> None:
        """What Redis has not taken is sent again. What it has is the sum of all processes.

        One reply may overtake another, so the larger sum is the later one.
        """
        for (account, tally, unit, amount), reply in zip(sent, replies[: len(sent)] or [None] * len(sent), strict=True):
            tally.sent[unit] -= amount
            if isinstance(reply, int | float):
                tally.heard[unit] = max(tally.heard[unit], int(reply))
                tally.known = True
            else:
                tally.pending[unit] += amount
                self._waiting.setdefault(account.name, account)


def _in_words(seconds: int) -> str:
    for unit_s, unit in ((3600, "hours"), (60, "minutes")):
        if seconds > 2 * unit_s:
            return f"{-(-seconds // unit_s)} {unit}"
    return f"{seconds} s"
