"""Another version of a model in place of the one that answers: every moment of it, with real worker processes.

Only networks and what loads them are scripted. Of each moment it is asked which version the model's name means, and
who has computed what was accepted.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from api.core import model_changes
from api.core.checks import Checks
from api.core.errors import ModelNotChanged, NoWorker, UnknownModel
from api.core.live_workers import LiveWorkers
from api.core.model_changes import ModelChanges
from contract import keys, model_state
from contract.job_queue import queue_name
from contract.messages import Classification
from contract.model_changes import Change, latest
from contract.model_state import ModelState, change, read_state
from contract.model_version import ModelVersion, WantedModel
from contract.redis_clients import connect, connect_for_waiting
from contract.worker_registry import WorkerEntry
from model.serving.registration import Registration
from tests.support.scripted_worker import DESCRIPTION, MODEL, digest_of
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from api.core.model_changes import Moved
    from contract.async_jobs import AsyncJob
    from tests.support.server import Server
    from tests.support.workers import ScriptedWorkers

SECOND = f"{MODEL}@2"
DIGEST = digest_of(ModelVersion(MODEL, "2"))
AT_ONCE_S = 0.9  # within less than a heartbeat
BEATS_S = 2.5  # two heartbeats of every worker, at least


@pytest.fixture
def live_workers(any_server: Server, workers: ScriptedWorkers) -> LiveWorkers:
    return LiveWorkers(connect(any_server.api_url), workers.queue)


@pytest.fixture
def changes(any_server: Server, live_workers: LiveWorkers) -> ModelChanges:
    commands = connect(any_server.api_url)
    return ModelChanges(commands, connect_for_waiting(any_server.api_url), live_workers, Checks(commands))


@pytest.fixture
def operators() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as operators:
        yield operators


class Story:
    """The operators' side of a reload, and what can be seen of it."""

    def __init__(self, workers: ScriptedWorkers, changes: ModelChanges, operators: ThreadPoolExecutor) -> None:
        self.workers, self.changes, self._operators = workers, changes, operators

    def reload(self, path: str | None = None) -> Moved:
        return self.changes.reload(MODEL, path, "an operator")

    def begin(self, path: str | None = None) -> Future[Moved]:
        """A reload in another thread, once a worker has begun to load."""
        begun = len(self.loads())
        moved = self._operators.submit(self.reload, path)
        eventually(lambda: len(self.loads()) > begun, "a worker begins to load")
        return moved

    def let_go(self) -> None:
        """Held workers load now."""
        (self.workers.folder / "go").touch()

    def loads(self) -> list[str]:
        """What workers have begun to load and freed, each with the process' ID before it."""
        log = self.workers.folder / "loads"
        return log.read_text().splitlines() if log.exists() else []

    def wait_for(self, line: str) -> None:
        eventually(lambda: line in self.loads(), f"a worker says: {line}")

    @property
    def state(self) -> ModelState:
        state = read_state(self.workers.redis, MODEL)
        assert state is not None
        return state

    def computed_by(self, script: str, model: str = MODEL) -> str:
        """The version that answers a picture sent to ``model``."""
        outcome = self.workers.outcome(self.workers.submit(script, model=model, cache=False))
        assert isinstance(outcome, Classification)
        return outcome.version


@pytest.fixture
def story(workers: ScriptedWorkers, changes: ModelChanges, operators: ThreadPoolExecutor) -> Iterator[Story]:
    story = Story(workers, changes, operators)
    yield story
    story.let_go()  # whatever a failed test has left waiting


def label_and_version(job: AsyncJob) -> tuple[str, str]:
    assert isinstance(job.outcome, Classification), job
    return job.outcome.labels[0].label, job.outcome.version


def test_a_name_moves_only_once_every_live_worker_serves_the_other_version(story, workers):
    """Half a fleet that had moved would be half a service."""
    workers.start()
    workers.start(LOADS="held")
    moved = story.begin()
    eventually(lambda: len(workers.registered(SECOND)) == 1, "the first serves it")

    assert story.state == ModelState("1", None, 1)
    assert not moved.done()

    story.let_go()
    told = moved.result()

    assert (told.current, told.before, told.workers) == (ModelVersion(MODEL, "2"), ModelVersion(MODEL, "1"), 2)
    assert told.digests == (DIGEST,)
    assert len(workers.registered(SECOND)) == 2
    assert story.state == ModelState("2", "1", 2)


def test_a_change_is_recorded_with_who_has_made_it(story, workers):
    workers.start()
    story.reload()
    story.changes.rollback(MODEL, "somebody else")
    found = [recorded.change for recorded in latest(workers.redis, MODEL, 10)]

    assert [(change.action, change.by) for change in found] == [
        ("rollback", "somebody else"),
        ("reload", "an operator"),
        ("start", "a worker"),
    ]
    assert found[1].words == f"from 1 to 2 ({DIGEST})"


@pytest.mark.long
def test_what_waits_for_the_old_version_is_computed_by_it_and_then_it_is_unloaded(story, workers, live_workers):
    """Requests and async jobs that were accepted for one version are never answered by another."""
    workers.start(UNLOAD_AFTER_S="1")
    slow = [workers.submit(f"slow-{n}") for n in range(3)]
    jobs = [workers.create(f"slow-job-{n}") for n in range(3)]
    story.reload()

    assert story.computed_by("cat", SECOND) == "2"
    assert [workers.outcome(submission).version for submission in slow] == ["1"] * 3
    assert [label_and_version(workers.ended(job)) for job in jobs] == [(f"slow-job-{n}", "1") for n in range(3)]
    eventually(lambda: not workers.registered(MODEL), "no request relies on the old version any more")
    assert not any("freed 1" in line for line in story.loads())  # first it is withdrawn, and then unloaded
    assert story.computed_by("a latecomer") == "1"
    eventually(lambda: any("freed 1" in line for line in story.loads()), "its memory is free")
    with pytest.raises(NoWorker, match="no worker of scripted@1 is ready"):
        live_workers.pool(WantedModel(MODEL, "1"))
    assert live_workers.pool(WantedModel(MODEL)).digest == DIGEST


@pytest.mark.long
def test_rqs_tools_see_what_a_worker_serves(story, workers):
    workers.start(UNLOAD_AFTER_S="0.1")
    (worker,) = workers.redis.smembers("rq:workers")
    story.reload()

    both = queues_of(workers, worker)
    left = [queue for queue in both if queue.endswith("@2")]
    eventually(lambda: queues_of(workers, worker) == left, "the old one is unloaded")
    assert {queue_name(MODEL), queue_name(SECOND)} < set(both)
    assert workers.redis.smembers(f"rq:workers:{queue_name(MODEL)}") == set()
    assert workers.redis.smembers(f"rq:workers:{queue_name(SECOND)}") == {worker}


def queues_of(workers: ScriptedWorkers, worker: bytes) -> list[str]:
    """As RQ's record of it names them."""
    named: Any = workers.redis.hget(worker.decode(), "queues")
    return str(named.decode()).split(",")


@pytest.mark.long
def test_a_version_with_work_is_registered_again_before_it_is_unloaded(story, workers):
    """A job that comes while the last heartbeats tell of its leaving keeps it until it is done."""
    workers.start(UNLOAD_AFTER_S="2")
    story.reload()
    eventually(lambda: not workers.registered(MODEL), "it is about to be unloaded")
    workers.submit("large-1 large-2")
    late = [workers.create(f"slow-{n}") for n in range(8)]

    eventually(lambda: workers.registered(MODEL), "it stays")
    assert {label_and_version(workers.ended(job))[1] for job in late} == {"1"}


def test_a_version_that_one_worker_refuses_moves_nothing(story, workers):
    """The answer says which worker and why; what the others have loaded they unload again."""
    workers.start(UNLOAD_AFTER_S="0.1")
    workers.start(LOADS="refused", UNLOAD_AFTER_S="0.1")
    with pytest.raises(
        ModelNotChanged, match=r"worker [0-9a-f]{32} on \S+ refuses: 2 is no bundle; nothing was changed"
    ):
        story.reload()

    assert story.state == ModelState("1", None, 1)
    assert story.computed_by("cat") == "1"
    eventually(lambda: any("freed 2" in line for line in story.loads()), "the other one unloads it")
    assert len(workers.registered(MODEL)) == 2


def test_the_same_version_with_other_weights_is_refused(story, workers):
    """Answers would be told apart by nothing that a person reads."""
    workers.start()
    with pytest.raises(ModelNotChanged, match="scripted@1 is served already with other weights, labels or preproc"):
        story.reload("other/1")

    assert story.state == ModelState("1", None, 1)


def test_the_version_that_is_current_already_is_no_change(story, workers):
    workers.start()
    moved = story.reload("1")

    assert (moved.current, moved.before) == (ModelVersion(MODEL, "1"), None)
    assert story.state == ModelState("1", None, 1)


def test_a_model_that_there_is_not_is_not_reloaded(changes, workers):
    workers.start()
    with pytest.raises(UnknownModel):
        changes.reload("unheard-of", None, "an operator")


@pytest.mark.long
def test_a_worker_that_dies_in_the_middle_of_it_is_not_waited_for(story, workers):
    """The others have loaded the version: that is all live workers."""
    workers.start()
    doomed = workers.start(LOADS="dying")
    moved = story.reload()

    assert doomed.wait() != 0
    assert moved.workers == 1
    assert story.state == ModelState("2", "1", 2)
    assert story.computed_by("cat", SECOND) == "2"


@pytest.mark.long
def test_when_all_workers_die_in_the_middle_of_it_nothing_moves(story, workers):
    workers.start(LOADS="dying")
    with pytest.raises(NoWorker):
        story.reload()
    workers.start()

    assert story.state == ModelState("1", None, 1)
    assert story.computed_by("cat") == "1"
    assert story.reload().current.version == "2"


def test_a_worker_that_hangs_while_it_loads_moves_nothing_and_goes_on_working(story, workers, monkeypatch):
    monkeypatch.setattr(model_changes, "LOADED_WITHIN_S", 5)  # in which the other has long answered
    workers.start()
    workers.start(LOADS="hanging")
    with pytest.raises(ModelNotChanged, match=r"no answer within 5 s from \S+; nothing was changed"):
        story.reload()

    assert story.state == ModelState("1", None, 1)
    assert story.computed_by("cat") == "1"
    assert workers.redis.get(keys.load(MODEL)) is None  # another may be asked for


def test_a_worker_that_hangs_in_an_earlier_load_says_so(story, workers, monkeypatch):
    """Nobody waits for it again."""
    monkeypatch.setattr(model_changes, "LOADED_WITHIN_S", 2)
    workers.start(LOADS="hanging", LOADED_WITHIN_S="1")
    with pytest.raises(ModelNotChanged, match="no answer"):
        story.reload()
    monkeypatch.undo()

    with pytest.raises(ModelNotChanged, match="refuses: it has been loading another version of scripted for too long"):
        story.reload()


def test_a_worker_that_starts_in_the_middle_of_it_loads_the_version_too(story, workers):
    workers.start(LOADS="held")
    moved = story.begin()
    workers.start(LOADS="held")
    story.let_go()

    assert moved.result().workers == 2
    assert len(workers.registered(SECOND)) == 2


@pytest.mark.long
def test_a_worker_that_starts_later_takes_what_is_current(story, workers):
    """Whatever its settings name."""
    workers.start()
    story.reload()
    late = workers.start(MODELS=MODEL, UNLOAD_AFTER_S="0.1")

    story.wait_for(f"{late.pid} freed 1")
    assert len(workers.registered(SECOND)) == 2
    assert story.state == ModelState("2", "1", 2)


@pytest.mark.long
def test_a_worker_that_cannot_load_what_is_current_goes_on_with_what_it_has(story, workers):
    """For those who ask for that version; without it, it would be a worker of nothing."""
    first = workers.start(UNLOAD_AFTER_S="0.1")
    story.reload()
    story.wait_for(f"{first.pid} freed 1")
    other = workers.start(LOADS="refused", UNLOAD_AFTER_S="0.1")
    story.wait_for(f"{other.pid} loading 2")
    time.sleep(BEATS_S)

    assert story.computed_by("cat") == "1"
    assert story.state == ModelState("2", "1", 2)


def test_of_two_operators_at_once_the_second_is_refused(story, workers):
    workers.start(LOADS="held")
    first = story.begin()
    with pytest.raises(ModelNotChanged, match="another version of scripted is being loaded already"):
        story.reload("3")
    story.let_go()

    assert first.result().current.version == "2"


def test_a_name_that_somebody_else_has_moved_meanwhile_stays_there(story, workers):
    workers.start(LOADS="held")
    moved = story.begin()
    theirs = replace(story.state, generation=story.state.generation + 1, share=1)
    change(workers.redis, MODEL, story.state, theirs, Change(action="test", by="somebody", words=""))
    story.let_go()

    with pytest.raises(ModelNotChanged, match="somebody else has changed scripted meanwhile"):
        moved.result()
    assert story.state == theirs


@pytest.mark.long
def test_after_redis_has_lost_its_data_workers_write_back_what_is_current(story, workers):
    """A worker that starts at that moment with other settings does not win."""
    workers.start()
    story.reload()
    time.sleep(BEATS_S)  # until the worker has seen it
    workers.redis.flushall()
    workers.start(MODELS="scripted@3")
    time.sleep(BEATS_S)

    assert story.state.current == "2"
    assert story.computed_by("cat", SECOND) == "2"


@pytest.mark.long
def test_a_reload_whose_request_redis_has_lost_moves_nothing(story, workers):
    """Workers that had not seen it would never answer; the next one works."""
    workers.start(LOADS="held")
    moved = story.begin()
    workers.redis.flushall()

    with pytest.raises(ModelNotChanged, match="Redis has lost what workers were asked to load"):
        moved.result()
    story.let_go()
    eventually(lambda: read_state(workers.redis, MODEL), "the worker writes back what is current")
    assert story.state.current == "1"
    assert story.reload().current.version == "2"


def test_with_no_worker_alive_settings_say_what_is_current(story, workers):
    first = workers.start()
    story.reload()
    first.send_signal(signal.SIGTERM)
    first.wait()
    workers.start(MODELS="scripted@3")

    eventually(lambda: story.state == ModelState("3", "2", 3), "its settings count")
    assert story.computed_by("cat", f"{MODEL}@3") == "3"


def test_a_round_of_heartbeats_that_takes_too_long_moves_no_name(any_server, workers, monkeypatch):
    """A machine that stalls in the middle of one lets the entries run out that it has begun with."""
    monkeypatch.setattr(model_state, "has_live_workers", lambda *_: False)
    registration = Registration(connect(any_server.worker_url), lambda: None, bulk_share=0.5)
    for model, claims in ((MODEL, True), (SECOND, False)):
        entry = WorkerEntry(worker_id="w", host="h", model=model, digest=DIGEST, batch=1, service_ms=1.0)
        registration.add(entry, ["cat"], DESCRIPTION, claims=claims)
    registration.renew()
    first = ModelState("1", None, 1)
    moved = change(workers.redis, MODEL, first, first.with_current("2"), Change(action="test", by="", words=""))
    registration.renew()

    assert registration.states == {MODEL: moved}
    assert read_state(workers.redis, MODEL) == moved


@pytest.mark.long
@pytest.mark.parametrize("in_hand", [True, False], ids=["in hand", "queued"])
def test_jobs_of_an_old_version_are_computed_by_it_after_all_workers_have_died(story, workers, in_hand):
    """They were accepted for that version, and nobody else would ever take them."""
    doomed = workers.start()
    story.reload()
    job = workers.create("slow" if in_hand else "cat") if in_hand else None
    if in_hand:
        eventually(workers.batches, "it is in hand")
    doomed.kill()
    doomed.wait()
    job = job or workers.create("cat")
    workers.start(MODELS=SECOND)

    assert label_and_version(workers.ended(job))[1] == "1"
    assert story.state.current == "2"


def test_a_rollback_to_a_version_that_is_still_served_takes_no_time(story, workers):
    workers.start()
    workers.start()
    story.reload()
    loads = story.loads()
    begun = time.monotonic()
    moved = story.changes.rollback(MODEL, "an operator")

    assert time.monotonic() - begun < AT_ONCE_S
    assert (moved.current.version, moved.workers) == ("1", 2)
    assert story.state == ModelState("1", "2", 3)
    assert story.loads() == loads


@pytest.mark.long
def test_a_version_that_is_about_to_be_unloaded_is_not_loaded_again_for_a_rollback(story, workers):
    workers.start(UNLOAD_AFTER_S="4")
    story.reload()
    eventually(lambda: not workers.registered(MODEL), "it is withdrawn")
    loads = story.loads()
    moved = story.changes.rollback(MODEL, "an operator")

    assert moved.current.version == "1"
    assert workers.registered(MODEL)
    assert story.loads() == loads


@pytest.mark.long
def test_a_rollback_loads_a_version_that_was_unloaded(story, workers):
    worker = workers.start(UNLOAD_AFTER_S="0.1")
    story.reload()
    story.wait_for(f"{worker.pid} freed 1")

    assert story.changes.rollback(MODEL, "an operator").current.version == "1"
    assert story.computed_by("cat") == "1"


@pytest.mark.long
def test_a_rollback_waits_for_workers_that_have_never_served_the_version(story, workers):
    """All of them move, or none does."""
    workers.start(UNLOAD_AFTER_S="60")
    story.reload()
    other = workers.start(MODELS=SECOND)
    moved = story.changes.rollback(MODEL, "an operator")

    assert moved.workers == 2
    assert f"{other.pid} loading 1" in story.loads()


def test_a_candidate_is_promoted_only_if_every_live_worker_serves_it(story, workers):
    """One that has started since may not be able to."""
    workers.start()
    story.changes.set_candidate(MODEL, version="2", path=None, share=0, shadow=0, by="an operator")
    workers.start(LOADS="refused")
    with pytest.raises(
        ModelNotChanged, match=r"worker [0-9a-f]{32} on \S+ refuses: 2 is no bundle; nothing was changed"
    ):
        story.changes.promote(MODEL, "an operator", force="a test")

    assert story.state == ModelState("1", None, 2, candidate="2")
    assert story.computed_by("cat") == "1"


@pytest.mark.long
def test_versions_that_nobody_serves_any_more_are_forgotten_once_they_are_many(story, workers, live_workers):
    """Everybody looks for a hundred: the version that answers must be among them after a thousand reloads."""
    workers.redis.zadd("models", {f"{MODEL}@old-{n}": 0 for n in range(150)} | {"another@1": 0})
    waiting = workers.create("cat", model=f"{MODEL}@old-7")
    workers.start(UNLOAD_AFTER_S="0.1")
    story.reload()
    eventually(lambda: workers.redis.zcard("models") < 60, "most are forgotten")

    assert label_and_version(workers.ended(waiting))[1] == "old-7"
    assert live_workers.pool().version == ModelVersion(MODEL, "2")
    assert workers.redis.zscore("models", "another@1") is not None


def test_there_is_nothing_to_go_back_to_before_anything_has_changed(story, workers):
    workers.start()
    with pytest.raises(ModelNotChanged, match="there is no version of scripted before 1 to go back to"):
        story.changes.rollback(MODEL, "an operator")


@pytest.mark.long
def test_versions_come_and_go_and_leave_nothing_behind(story, workers):
    """A service that is reloaded every day holds no more threads, files and entries than on its first."""
    worker = workers.start(UNLOAD_AFTER_S="0.1")
    process = psutil.Process(worker.pid)
    held = []
    for version in (2, 3, 4):
        story.reload(str(version))
        story.wait_for(f"{worker.pid} freed {version - 1}")
        entries = workers.redis.keys("worker:*") + workers.redis.keys("workers:*") + workers.redis.keys("load*")
        held.append((process.num_threads(), process.num_fds(), len(entries)))

    assert len(set(held)) == 1, held


def test_jobs_left_behind_are_found_of_each_model_that_a_worker_serves(workers):
    """Looking for those of the first must not keep it from looking for those of the second."""
    first = workers.start(MODELS=f"{MODEL},other")
    first.kill()
    first.wait()
    workers.redis.delete(keys.workers(MODEL), keys.workers("other"))  # as after a few seconds
    jobs = [workers.create("cat", model=model) for model in (MODEL, "other")]
    workers.start(MODELS=f"{SECOND},other@2")

    assert [label_and_version(workers.ended(job)) for job in jobs] == [("cat", "1"), ("cat", "1")]
