"""What senders have used, counted by several processes that tell each other only in passing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from api.core import usage as usage_module
from api.core.errors import OverLimit
from api.core.quotas import DAY, MB, MINUTE, quotas_of
from api.core.usage import ADDRESSES, PACE_S, SLICES, SWEPT_EVERY_S, Usage
from api.core.usage_report import UsageReports, Used
from contract import keys

if TYPE_CHECKING:
    from api.core.quotas import Quotas
    from contract.send_too import SendToo

NOON = 20_000 * 86_400.0 + 43_200  # of a day, and the beginning of a minute
ANNE, BERT = "192.0.2.1", "key:bert"
PROCESSES = 4
NOWHERE = "redis://127.0.0.1:1"


class Clock:
    """Unix time and, as it may be set, time that only goes forward."""

    def __init__(self) -> None:
        self.now = NOON
        self.passed = 0.0

    def __call__(self) -> float:
        return self.now

    def pace(self) -> float:
        return self.passed

    def go(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits(requests: int = 0, mb: int = 0, a_day: int = 0) -> Quotas:
    return quotas_of(requests_per_minute=requests, requests_per_day=a_day, mb_per_minute=mb, mb_per_day=0)


def process(clock: Clock) -> Usage:
    return Usage(PROCESSES, clock, clock.pace)


def tell(redis: Redis, send_too: SendToo) -> int:
    """As a pipeline that is sent anyway; returns how many commands went along."""
    with redis.pipeline(transaction=False) as pipe:
        told, replies = send_too(pipe), []
        try:
            commands = len(pipe)
            replies = pipe.execute(raise_on_error=False)
        finally:
            told(replies)
    return commands


def taken(usage: Usage, quotas: Quotas, times: int, sender: str = ANNE) -> int:
    """How many of so many requests are admitted."""
    admitted = 0
    for _ in range(times):
        try:
            usage.account(sender, quotas).admit()
        except OverLimit:
            continue
        admitted += 1
    return admitted


def test_a_sender_has_so_many_requests_a_minute_and_the_refusal_says_when_there_are_more(clock):
    usage, quotas = process(clock), limits(5)
    clock.go(48)
    assert taken(usage, quotas, 5) == 5
    with pytest.raises(OverLimit, match="one sender may send 5 requests a minute: try again in 12 s") as refused:
        usage.account(ANNE, quotas).admit()
    assert refused.value.retry_after_s == 12
    assert taken(usage, quotas, 1, "192.0.2.2") == 1
    clock.go(12)

    assert taken(usage, quotas, 6) == 5


def test_of_two_limits_that_are_used_up_the_one_that_lasts_longer_says_when_there_is_more(clock):
    usage, quotas = process(clock), limits(5, a_day=5)
    taken(usage, quotas, 5)
    with pytest.raises(OverLimit, match="5 requests a day: try again in 12 hours") as refused:
        usage.account(ANNE, quotas).admit()

    assert refused.value.retry_after_s == 43_200


def test_bytes_count_as_they_come_and_what_is_over_is_refused_in_the_middle(clock):
    """What was announced counts for nothing: anybody can announce anything."""
    usage, quotas = process(clock), limits(mb=1)
    account = usage.account(ANNE, quotas)
    account.admit()
    account.received(MB)
    with pytest.raises(OverLimit, match="1 MB a minute"):
        account.received(1)
    with pytest.raises(OverLimit, match="1 MB a minute"):
        account.admit()


@pytest.mark.parametrize("most", [20, 1000])
def test_processes_that_tell_each_other_only_in_passing_let_in_little_more_than_one_would(clock, redis, most):
    """Each may keep to itself a slice of what is left, and has some requests on their way to their look."""
    in_flight = 4
    chance = random.Random(7)  # noqa: S311  # no secret
    quotas, admitted = limits(most), 0
    processes = [process(clock) for _ in range(PROCESSES)]
    looks: list[Usage] = []
    for _ in range(10 * most):
        usage = chance.choice(processes)
        if taken(usage, quotas, 1):
            admitted += 1
            looks.append(usage)
        if len(looks) == in_flight:
            tell(redis, looks.pop(0).send_due)

    assert most <= admitted <= most + PROCESSES * (most // (SLICES * PROCESSES) + in_flight)


def test_without_redis_each_process_keeps_the_limit_for_itself_and_tells_it_later(clock, redis):
    usage, quotas = process(clock), limits(5)
    taken(usage, quotas, 3)
    with Redis.from_url(NOWHERE) as nowhere, pytest.raises(RedisConnectionError):
        tell(nowhere, usage.send_all)
    assert taken(usage, quotas, 9) == 2
    tell(redis, usage.send_all)

    other = process(clock)
    taken(other, quotas, 1)
    tell(redis, other.send_all)
    assert taken(other, quotas, 1) == 0


def test_a_process_that_has_just_started_learns_at_its_first_look_what_was_used(clock, redis):
    quotas = limits(1000, a_day=5)
    old = process(clock)
    taken(old, quotas, 5)
    tell(redis, old.send_all)
    clock.go(120)
    new = process(clock)
    assert taken(new, quotas, 1) == 1
    tell(redis, new.send_due)

    assert taken(new, quotas, 1) == 0


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_window(clock, redis):
    usage, quotas = process(clock), limits(5, a_day=100)
    taken(usage, quotas, 6)
    tell(redis, usage.send_all)
    for back_s in (1, 600, 86_400, 10 * 86_400):
        clock.now -= back_s
        if not taken(usage, quotas, 1):
            clock.go(MINUTE.length_s)
            assert taken(usage, quotas, 1) == 1


def test_a_clock_that_goes_back_and_forth_opens_no_gate(clock, redis):
    """Every minute and every day is counted once, however often it comes."""
    usage, quotas, admitted = process(clock), limits(5), 0
    for _ in range(20):
        for step_s in (-60, 60):
            clock.now += step_s
            admitted += taken(usage, quotas, 3)
            tell(redis, usage.send_due)
            admitted += taken(usage, quotas, 3)

    assert admitted <= 2 * (5 + 3 * 20)  # two minutes; each time the process has to be told again what was
    assert taken(usage, quotas, 1) == 0


def test_ten_thousand_addresses_take_no_more_room_than_there_is(clock, redis, monkeypatch):
    """And who comes when all of it is taken can still send, beside the others that came too late."""
    most, quotas = 300, limits(5)
    monkeypatch.setattr(usage_module, "MOST_SENDERS", most)
    usages = [process(clock) for _ in range(2)]
    for number in range(5 * most):
        usage = usages[number % 2]
        taken(usage, quotas, 1, f"2001:db8:{number:x}::/64")
        tell(redis, usage.send_all)
    sets = list(redis.scan_iter("usage:*"))

    assert [len(usage) for usage in usages] == [most + 1, most + 1]
    assert len(sets) == 3  # a minute's and a day's requests, and the day's refusals of the others
    assert all(redis.zcard(key) <= most for key in sets)
    assert all(0 < redis.ttl(key) <= 2 * DAY.length_s for key in sets)
    clock.go(60 + SWEPT_EVERY_S)
    assert taken(usages[0], quotas, 5, "198.51.100.9") == 5
    assert len(usages[0]) <= 2  # the others may still be told of


def test_keys_are_never_among_the_others(clock, monkeypatch):
    monkeypatch.setattr(usage_module, "MOST_SENDERS", 2)
    usage, quotas = process(clock), limits(5)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        taken(usage, quotas, 5, address)

    assert taken(usage, quotas, 1, "192.0.2.4") == 0
    assert taken(usage, quotas, 6, BERT) == 5


def test_refused_requests_cost_redis_next_to_nothing(clock, redis):
    usage, quotas = process(clock), limits(5)
    taken(usage, quotas, 5)
    tell(redis, usage.send_due)
    taken(usage, quotas, 1000)

    assert tell(redis, usage.send_due) == 0
    clock.go(PACE_S)
    assert tell(redis, usage.send_due) == 3  # a count for all of them, and two commands that keep its set small


def test_what_is_far_from_its_limit_goes_along_only_now_and_then(clock, redis):
    """Otherwise every look would carry it."""
    usage, quotas = process(clock), limits(1_000_000)
    carried = []
    for _ in range(1000):
        taken(usage, quotas, 1)
        carried.append(tell(redis, usage.send_due))

    assert sum(1 for commands in carried if commands) == 1


def test_what_somebody_writes_into_redis_costs_nobody_a_request(clock, redis):
    quotas = limits(5)
    redis.set(keys.usage(ADDRESSES, MINUTE.numbered(MINUTE.index(NOON)), "requests"), "garbage")
    usage = process(clock)
    taken(usage, quotas, 3)
    tell(redis, usage.send_due)

    assert taken(usage, quotas, 5) == 2


def test_the_report_has_every_key_and_the_addresses_that_sent_most(redis):
    usage = Usage(PROCESSES)
    reports = UsageReports(redis, usage.send_all)
    quotas = limits(a_day=2)
    for number in range(30):
        taken(usage, (), number + 1, f"192.0.2.{number}")
    usage.account("192.0.2.0", ()).received(7 * MB)
    taken(usage, quotas, 5, BERT)
    found = reports.today()

    assert found.keys == (Used(BERT, requests=2, bytes=0, refused=3),)
    assert found.addresses[0] == Used("192.0.2.29", requests=30, bytes=0, refused=0)
    assert found.addresses[-1] == Used("192.0.2.0", requests=1, bytes=7 * MB, refused=0)
    assert len(found.addresses) == 21
