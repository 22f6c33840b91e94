"""Changes of a model that are refused: what operators are told, and that nothing has moved.

Redis is real. The one worker is on paper only: it is registered, and answers at once what it is asked to load.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from api.core.checks import Checks
from api.core.errors import ModelNotChanged, NoWorker, UnknownModel
from api.core.live_workers import LiveWorkers
from api.core.model_changes import ModelChanges
from contract import checks, keys, loading
from contract.checks import Check, Compared, Report
from contract.job_queue import JobQueue
from contract.loading import LoadReply, LoadRequest
from contract.model_changes import Change, latest
from contract.model_state import ModelState, change, read_state
from contract.model_version import ModelVersion
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import WorkerEntry, heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from tests.support.server import Server

    Action = Callable[..., object]

NAME, BY = "lite", "an operator"
SERVED = ("1", "2", "3")
STATE = ModelState("1", "3", 7, "2", share=10, shadow=20)
NO_CANDIDATE = ModelState("1", None, 7)
CANDIDATE = ModelVersion(NAME, "2")
WHY = Change(action="test", by="somebody", words="")
CHANGED = "somebody else has changed lite meanwhile; nothing was changed"

ACTIONS: dict[str, Action] = {
    "reload": lambda changes, **seen: changes.reload(NAME, "mine/lite-2", BY, **seen),
    "rollback": lambda changes, **seen: changes.rollback(NAME, BY, **seen),
    "candidate": lambda changes, **seen: candidate(changes, version="3", **seen),
    "candidate, its share": lambda changes, **seen: candidate(changes, share=50, **seen),
    "drop": lambda changes, **seen: changes.drop_candidate(NAME, BY, **seen),
    "promote": lambda changes, **seen: changes.promote(NAME, BY, force="a test", **seen),
}
of_every_change = pytest.mark.parametrize("act", ACTIONS.values(), ids=ACTIONS)
of_every_load = pytest.mark.parametrize("act", [act for name, act in ACTIONS.items() if name != "drop"])


def candidate(changes: ModelChanges, *, seen: int | None = None, **fields: Any) -> ModelState:
    usual = {"version": None, "path": None, "share": 0, "shadow": 0, "by": BY}
    return changes.set_candidate(NAME, **{**usual, **fields}, seen=seen)


def digest(version: str) -> str:
    return version * 64


def serves(redis: Redis, *versions: str, worker_id: str = "w1") -> None:
    for version in versions:
        heartbeat(
            redis,
            WorkerEntry(
                worker_id=worker_id,
                host="host-1",
                model=ModelVersion(NAME, version).key,
                digest=digest(version),
                batch=8,
                service_ms=1.0,
            ),
        )


def loaded(version: str = "2", **said: str) -> LoadReply:
    """What a worker says that serves a version now."""
    usual = {"worker_id": "w1", "host": "host-1", "digest": digest(version), "precision": "int8", "interface": "f" * 64}
    return LoadReply(model=ModelVersion(NAME, version).key, **{**usual, **said})


class PaperWorkers:
    """``replies`` are those to whatever is asked for next."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.replies = [loaded()]
        self.asked: list[LoadRequest] = []

    def begin(self, redis: Redis, name: str, request: LoadRequest) -> bool:
        begun = BEGIN(redis, name, request)
        if begun:
            self.asked.append(request)
            for told in self.replies:
                loading.reply(self.redis, request, told)
        return begun

    @property
    def state(self) -> ModelState | None:
        return read_state(self.redis, NAME)

    def is_now(self, state: ModelState) -> None:
        self.redis.hset(keys.model(NAME), mapping=state.fields())  # type: ignore[arg-type]


BEGIN = loading.begin


@pytest.fixture
def workers(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> PaperWorkers:
    workers = PaperWorkers(redis)
    monkeypatch.setattr(loading, "begin", workers.begin)
    serves(redis, *SERVED)
    workers.is_now(STATE)
    return workers


@pytest.fixture
def changes(valkey: Server) -> Iterator[ModelChanges]:
    commands, waiting = connect(valkey.api_url), connect_for_waiting(valkey.api_url)
    yield ModelChanges(commands, waiting, LiveWorkers(commands, JobQueue(commands, waiting)), Checks(commands))
    commands.close()
    waiting.close()


def refusal(act: Action, changes: ModelChanges, **seen: int) -> str:
    with pytest.raises(ModelNotChanged) as refused:
        act(changes, **seen)
    return str(refused.value)


# Two operators at once


@of_every_change
def test_a_change_is_made_where_nothing_stands_against_it(workers, changes, act):
    """Otherwise the refusals below would say nothing."""
    act(changes, seen=STATE.generation)

    assert workers.state.generation == STATE.generation + 1


@of_every_change
def test_who_is_overtaken_between_a_look_and_the_change_changes_nothing(workers, changes, monkeypatch, act):
    """Both have read the same state; the one that writes first wins, and the other is told."""
    look = changes.state
    theirs = STATE.with_candidate("3", share=1)

    def overtaken(name: str) -> ModelState:
        seen: ModelState = look(name)
        change(workers.redis, name, seen, theirs, WHY)
        return seen

    monkeypatch.setattr(changes, "state", overtaken)

    assert refusal(act, changes) == CHANGED
    assert workers.state == theirs
    assert [recorded.change for recorded in latest(workers.redis, NAME, 9)] == [WHY]
    assert loading.current(workers.redis, NAME) is None


@of_every_change
def test_what_an_operator_has_not_seen_is_not_changed(workers, changes, act):
    """The page was drawn before somebody else's change; no worker is asked for anything."""
    assert refusal(act, changes, seen=STATE.generation - 1) == CHANGED
    assert workers.state == STATE
    assert workers.asked == []


@of_every_load
def test_while_workers_load_for_one_operator_another_is_refused(workers, changes, act):
    """And ends nothing of the first one's."""
    theirs = LoadRequest.new(path="mine/lite-3")
    BEGIN(workers.redis, NAME, theirs)

    assert refusal(act, changes) == "another version of lite is being loaded already; nothing was changed"
    assert workers.state == STATE
    assert loading.current(workers.redis, NAME) == theirs


@of_every_change
def test_a_state_that_comes_back_is_another_one(workers, changes, monkeypatch, act):
    """Two changes that cancel each other out are two changes: an operator has decided by what was there before them."""
    look = changes.state

    def overtaken_twice(name: str) -> ModelState:
        seen: ModelState = look(name)
        between = change(workers.redis, name, seen, seen.with_candidate(None), WHY)
        change(workers.redis, name, between, between.with_candidate("2", share=10, shadow=20), WHY)
        return seen

    monkeypatch.setattr(changes, "state", overtaken_twice)

    assert refusal(act, changes) == CHANGED
    assert workers.state == replace(STATE, generation=STATE.generation + 2)


# What there is not


@pytest.mark.usefixtures("redis")
@of_every_change
def test_a_model_that_nobody_has_heard_of_is_unknown(changes, act):
    with pytest.raises(UnknownModel, match="there is no model lite"):
        act(changes)


@of_every_change
def test_a_model_without_a_state_has_no_worker_that_can_change_it(redis, changes, act):
    """Older workers say nothing of what is current."""
    serves(redis, "1")
    with pytest.raises(NoWorker, match="no worker of lite that can change its version is ready"):
        act(changes)


@of_every_load
def test_a_model_whose_workers_have_all_gone_stays_as_it_is(workers, changes, act):
    for version in SERVED:
        workers.redis.delete(keys.workers(ModelVersion(NAME, version).key))
    with pytest.raises(NoWorker, match="no worker of lite is ready"):
        act(changes)

    assert workers.state == STATE
    assert loading.current(workers.redis, NAME) is None


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (ACTIONS["rollback"], "there is no version of lite before 1 to go back to"),
        (ACTIONS["promote"], "lite has no candidate"),
        (ACTIONS["drop"], "lite has no candidate"),
        (ACTIONS["candidate, its share"], "lite has no candidate yet: say which version, or the path of its bundle"),
    ],
)
def test_what_there_is_not_can_not_be_changed(workers, changes, act, told):
    workers.is_now(NO_CANDIDATE)

    assert refusal(act, changes) == told
    assert workers.state == NO_CANDIDATE
    assert workers.asked == []


def test_the_current_version_is_no_candidate(workers, changes):
    told = "lite@1 is the current version, and can't be its own candidate"
    assert refusal(lambda changes: candidate(changes, version="1"), changes) == told
    assert workers.asked == []
    workers.replies = [loaded("1")]

    assert refusal(lambda changes: candidate(changes, path="mine/lite-1"), changes) == told
    assert workers.state == STATE


# What workers say


@of_every_load
def test_one_worker_that_refuses_is_enough(workers, changes, act):
    """Of two, of which the other has loaded it; so it is with a version that nobody serves, and can't be found."""
    serves(workers.redis, "1", worker_id="w2")
    workers.replies = [
        loaded(),
        LoadReply(worker_id="w2", host="host-2", refused="there is no bundle at mine/lite-2 in the models' folder"),
    ]

    assert refusal(act, changes) == (
        "worker w2 on host-2 refuses: there is no bundle at mine/lite-2 in the models' folder; nothing was changed"
    )
    assert workers.state == STATE
    assert latest(workers.redis, NAME, 9) == []


DIFFERENT = "workers have found different weights, labels or preprocessing as lite@2: do they see the same folder?"


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (
            loaded("3", worker_id="w2"),
            "workers have found different versions (lite@2, lite@3): do they see the same folder?",
        ),
        (loaded(worker_id="w2", digest=digest("4")), DIFFERENT),
        (loaded(worker_id="w2", digest=digest("4"), precision="fp32", interface="e" * 64), DIFFERENT),
        (loaded(worker_id="w2", interface="e" * 64), DIFFERENT),
    ],
    ids=["versions", "weights", "labels of another precision", "labels"],
)
def test_workers_that_have_found_different_bundles_move_nothing(workers, changes, second, told):
    serves(workers.redis, "1", worker_id="w2")
    workers.replies = [loaded(), second]

    assert refusal(ACTIONS["reload"], changes) == told
    assert workers.state == STATE


def test_variants_of_one_version_are_one_version(workers, changes):
    serves(workers.redis, "1", worker_id="w2")
    workers.replies = [loaded(), loaded(worker_id="w2", digest=digest("4"), precision="fp32")]
    moved = changes.reload(NAME, "mine/lite-2", BY)

    assert (moved.current, moved.digests, moved.workers) == (CANDIDATE, (digest("2"), digest("4")), 2)


# The gate


def report(*, passed: bool) -> Report:
    return Report(
        passed=passed,
        verdict="it is worse",
        labelled=Compared(pictures=100, agreed=90),
        mean_ms_current=1.0,
        mean_ms_candidate=1.0,
        p99_ms_current=2.0,
        p99_ms_candidate=2.0,
    )


PASSED = Check(
    against=NAME,
    against_digests=(digest("1"),),
    digests=(digest("2"),),
    done=100,
    of=100,
    began="",
    by=BY,
    run="r",
    report=report(passed=True),
)
RUNNING = replace(PASSED, report=None)


def checked(redis: Redis, check: Check | None, version: ModelVersion = CANDIDATE) -> None:
    if check is not None:
        checks.begin(redis, version, replace(check, report=None, fault=""))
        checks.write(redis, version, check)


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (None, "lite@2 has not been checked; nothing was changed"),
        (RUNNING, "the check of lite@2 is still running; nothing was changed"),
        (
            replace(RUNNING, fault="no worker of lite@2 is ready"),
            "the check of lite@2 has ended without a report (no worker of lite@2 is ready); nothing was changed",
        ),
        (
            replace(PASSED, report=report(passed=False)),
            "lite@2 has not passed its check: it is worse; nothing was changed",
        ),
        (
            replace(PASSED, against=f"{NAME}@3"),
            "lite@2 was checked against another version, or with another bundle: check it again",
        ),
        (
            replace(PASSED, digests=(digest("4"),)),
            "lite@2 was checked against another version, or with another bundle: check it again",
        ),
        (
            replace(PASSED, against_digests=(digest("4"),)),
            "lite@2 was checked against another version, or with another bundle: check it again",
        ),
    ],
    ids=["none", "running", "broken", "failed", "current has changed", "other weights", "other weights of current"],
)
def test_only_a_passed_check_of_what_is_served_opens_the_gate(workers, changes, check, told):
    checked(workers.redis, check)
    with pytest.raises(ModelNotChanged) as refused:
        changes.promote(NAME, BY)

    assert str(refused.value) == told
    assert workers.state == STATE


def test_a_check_whose_process_has_died_opens_nothing(workers, changes):
    checked(workers.redis, RUNNING)
    workers.redis.delete(keys.checking(NAME))
    with pytest.raises(ModelNotChanged, match=r"has ended without a report \(it was broken off"):
        changes.promote(NAME, BY)


def test_a_check_of_another_candidate_opens_nothing(workers, changes):
    """It was the candidate when its check began, and another one is when it ends."""
    checks.begin(workers.redis, CANDIDATE, RUNNING)
    candidate(changes, version="3")
    checks.write(workers.redis, CANDIDATE, PASSED)
    with pytest.raises(ModelNotChanged, match="lite@3 has not been checked; nothing was changed"):
        changes.promote(NAME, BY)

    candidate(changes, version="2")
    assert changes.promote(NAME, BY).current == CANDIDATE


def test_of_two_bundles_of_a_candidate_both_must_have_been_checked(workers, changes):
    """A worker with another one has started since."""
    checked(workers.redis, PASSED)
    heartbeat(
        workers.redis,
        WorkerEntry(worker_id="w2", host="h", model=CANDIDATE.key, digest=digest("4"), batch=8, service_ms=1.0),
    )
    with pytest.raises(ModelNotChanged, match="with another bundle: check it again"):
        changes.promote(NAME, BY)

    assert workers.state == STATE
