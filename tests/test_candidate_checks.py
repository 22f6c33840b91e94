"""The check of a candidate with real worker processes, of which only the networks are scripted."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from api.core import check_run, replay
from api.core.check_run import CheckRun, Comparing
from api.core.errors import CheckNotFound, ModelNotChanged, NoWorker, UnknownModel
from api.core.expected_labels import ExpectedLabels
from api.core.labels import LabelList
from api.feedback.log import Report as Feedback
from api.services import Services
from api.settings import Settings
from contract import checks
from contract.checks import BROKEN_OFF, RUNS_FOR_S, Check
from contract.errors import JobLost
from contract.model_changes import Change, latest
from contract.model_state import change, read_state
from contract.model_task import ModelTask
from contract.model_version import ModelVersion
from contract.worker_registry import live_workers_of
from tests.support.api import Api
from tests.support.operator import ADMIN_KEY, Operator
from tests.support.scripted_worker import GIF, MODEL, digest_of
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.checks import Report
    from contract.deadline import Deadline
    from contract.messages import Outcome
    from tests.support.server import Server
    from tests.support.workers import ScriptedWorkers

CURRENT, CANDIDATE = ModelVersion(MODEL), ModelVersion(MODEL, "2")
BOTH = f"{MODEL},{CANDIDATE.key}"
BOTH_RIGHT = "1=tabby 2=tabby"
ONLY_CURRENT, ONLY_CANDIDATE, NEITHER = "1=tabby 2=lynx", "1=lynx 2=tabby", "1=lynx 2=lynx"
LONG_AGO_S = 600


class Gate:
    """A service whose model has a candidate, and the operator's pictures."""

    def __init__(self, server: Server, workers: ScriptedWorkers, **settings: Any) -> None:
        self.workers = workers
        self.pictures = workers.folder / "pictures"
        self._settings: dict[str, Any] = {
            "redis_url": server.api_url,
            "upload_dir": workers.folder / "uploads",
            "copies_dir": workers.folder / "copies",
            "feedback_dir": workers.folder / "feedback",
            "check_dir": self.pictures,
        }
        self.services = self.service(**settings)

    def service(self, **settings: Any) -> Services:
        """A process of the API with other settings."""
        return Services.connect(Settings(**self._settings | settings))

    def show(self, script: str, count: int = 100, label: str = "tabby") -> None:
        """Put so many more pictures of a label into the operator's folder."""
        folder = self.pictures / label
        folder.mkdir(parents=True, exist_ok=True)
        there = len(list(folder.iterdir()))
        for number in range(there, there + count):
            (folder / f"{number:04}.gif").write_bytes(GIF + f"each {script} {label} {number}".encode())

    def begin(self) -> Check:
        return self.services.check_runner.begin(MODEL, "an operator").check

    def latest(self) -> Check:
        return self.services.check_runner.latest(MODEL).check

    def ended(self) -> Check:
        found = eventually(lambda: not (now := self.latest()).runs and now, "the check ends")
        assert isinstance(found, Check)
        return found

    def report(self) -> Report:
        self.begin()
        ended = self.ended()
        assert ended.report is not None, ended.fault
        return ended.report


def name_candidate(workers: ScriptedWorkers, version: str | None = "2") -> None:
    """As an operator does, of versions that are served already."""
    state = eventually(lambda: read_state(workers.redis, MODEL), "a worker has said which version is current")
    change(
        workers.redis, MODEL, state, state.with_candidate(version), Change(action="candidate", by="a test", words="")
    )


@pytest.fixture
def gate(any_server: Server, workers: ScriptedWorkers) -> Gate:
    workers.start(MODELS=BOTH)
    name_candidate(workers)
    return Gate(any_server, workers)


# What decides


def test_a_candidate_that_is_as_good_passes(gate):
    gate.show(BOTH_RIGHT, 96)
    gate.show(ONLY_CURRENT, 2)
    gate.show(ONLY_CANDIDATE, 3)
    gate.show(NEITHER, 1)
    begun = gate.begin()
    ended = gate.ended()

    assert (begun.against, begun.digests, begun.by) == (CURRENT.key, (digest_of(CANDIDATE),), "an operator")
    assert (begun.done, begun.of) == (0, 102)
    assert (ended.done, ended.of) == (102, 102)
    report = ended.report
    assert report is not None
    assert report.passed
    assert report.verdict.startswith(
        "it is not worse: 99 of 102 labelled pictures right, scripted@1 98, which is +1.0 points (95% interval -3.3 to"
    )
    labelled = report.labelled
    assert (labelled.right_current, labelled.right_candidate, labelled.only_current, labelled.only_candidate) == (
        98, 99, 2, 3,
    )  # fmt: skip
    assert (labelled.pictures, labelled.agreed, labelled.left_out) == (102, 97, 0)
    assert (labelled.difference, labelled.low, labelled.high) == pytest.approx((0.009804, -0.033122, 0.05273), abs=1e-5)
    assert (report.feedback, report.stored) == (None, None)


def test_a_candidate_that_is_worse_with_confidence_fails(gate):
    gate.show(BOTH_RIGHT, 95)
    gate.show(ONLY_CURRENT, 6)
    report = gate.report()

    assert not report.passed
    assert report.verdict.startswith("it is worse: 95 of 101 labelled pictures right, scripted@1 101, which is -5.9 po")
    assert report.labelled.high is not None
    assert -0.02 < report.labelled.high < 0


def test_a_few_points_that_may_be_chance_pass(gate):
    gate.show(BOTH_RIGHT, 97)
    gate.show(ONLY_CURRENT, 3)

    assert gate.report().passed


def test_a_candidate_that_takes_much_longer_fails(gate):
    gate.show("1=tabby/4 2=tabby/9")
    report = gate.report()

    assert not report.passed
    assert report.verdict == "it is slower: 9.0 ms a picture, scripted@1 4.0 ms, of which it may take 1.5 times"
    assert (report.mean_ms_current, report.mean_ms_candidate) == (4, 9)
    assert (report.p99_ms_current, report.p99_ms_candidate) == (4, 9)


def test_how_much_longer_is_the_operators_to_say(gate):
    gate.show("1=tabby/4 2=tabby/9")
    gate.services = gate.service(check_slower_ratio=2.5)

    assert gate.report().passed


def test_every_picture_is_a_batch_of_its_own(gate):
    """A batch's time can't be told by picture: the slower version would look even slower with more of them in one."""
    gate.show(BOTH_RIGHT)
    gate.report()

    assert len(gate.workers.batches()) == 200


# Beside the operator's pictures


def test_what_senders_have_said_is_told_and_decides_nothing(gate):
    """They are anonymous, and may be one."""
    gate.show(BOTH_RIGHT)
    for number in range(20):
        picture = gate.services.store.put(GIF + f"each {ONLY_CURRENT} reported {number}".encode())
        for label in ("", "who knows", "Tabby"):
            gate.services.feedback.append(Feedback(image=picture, correct_label=label, model=MODEL))
    another = gate.services.store.put(GIF + b"each 1=tabby 2=tabby of another model")
    gate.services.feedback.append(Feedback(image=another, correct_label="tabby", model="resnet50"))
    gate.services.feedback.append(Feedback(image="f" * 64, correct_label="tabby", model=MODEL))
    report = gate.report()

    assert report.passed
    assert report.feedback is not None
    assert (report.feedback.pictures, report.feedback.left_out) == (20, 1)
    assert (report.feedback.right_current, report.feedback.right_candidate) == (20, 0)
    assert len(report.disagreements) == 20


def test_pictures_that_were_sent_lately_show_how_far_the_two_agree(gate, monkeypatch):
    """Of several hundred the latest; but none of which a request may be under way."""
    monkeypatch.setattr(check_run, "MOST_STORED", 5)
    gate.show(BOTH_RIGHT)
    for age, script in enumerate([ONLY_CANDIDATE, BOTH_RIGHT, BOTH_RIGHT, "bad", BOTH_RIGHT, ONLY_CURRENT]):
        script_of_each = script if script == "bad" else f"each {script}"
        _sent_ago(gate, f"{script_of_each} stored {age}", LONG_AGO_S + age)
    _sent_ago(gate, f"each {ONLY_CURRENT} just now", 0)
    report = gate.report()

    assert report.stored is not None
    assert (report.stored.pictures, report.stored.agreed, report.stored.left_out) == (4, 3, 1)
    assert report.stored.right_current is None
    assert [(one.expected, one.current, one.candidate) for one in report.disagreements] == [("", "lynx", "tabby")]


def test_a_stored_picture_does_not_live_longer_because_of_a_check(gate):
    gate.show(BOTH_RIGHT)
    name = _sent_ago(gate, f"each {BOTH_RIGHT} stored", LONG_AGO_S)
    sent_at = gate.services.store.sent_at_ns(name)
    report = gate.report()

    assert report.stored is not None
    assert gate.services.store.sent_at_ns(name) == sent_at


def test_the_pictures_of_an_earlier_check_are_not_counted_as_sent(gate):
    gate.show(BOTH_RIGHT)
    gate.report()
    for shard in range(256):
        for _, name in gate.services.store.pictures(shard):
            _age(gate, name, LONG_AGO_S)

    assert gate.report().stored is None


@pytest.mark.parametrize("kept", ["none", "feedback"])
def test_where_pictures_do_not_outlive_their_requests_none_is_held_for_a_check(gate, kept):
    """And with none of the operator's own either, nothing is left of it."""
    gate.show(BOTH_RIGHT)
    name = _sent_ago(gate, f"each {BOTH_RIGHT} stored", LONG_AGO_S)
    gate.services = gate.service(store_uploads=kept)
    report = gate.report()
    left = {name for shard in range(256) for _, name in gate.services.store.pictures(shard)}

    assert report.stored is None
    assert left == {name} if kept == "none" else len(left) == 101


def test_pictures_on_which_they_differ_are_named(gate):
    gate.show(BOTH_RIGHT)
    gate.show(ONLY_CURRENT, 1)
    (one,) = gate.report().disagreements

    assert (one.expected, one.current, one.candidate) == ("tabby", "tabby", "lynx")
    assert gate.services.store.read(one.picture) == GIF + f"each {ONLY_CURRENT} tabby 100".encode()


# What can't be computed


def test_files_that_are_no_pictures_and_pictures_that_nobody_can_read_count_for_neither(gate):
    gate.show(BOTH_RIGHT)
    (gate.pictures / "tabby" / "notes.txt").write_text("taken in the garden")
    (gate.pictures / "tabby" / "empty.gif").touch()
    (gate.pictures / "tabby" / "broken.gif").write_bytes(GIF + b"bad")
    report = gate.report()

    assert (report.labelled.pictures, report.labelled.left_out) == (100, 3)
    assert report.passed


def test_a_picture_that_only_the_candidate_s_workers_give_up_counts_against_it(gate):
    """To leave it out would make the version look better that fails."""
    gate.show(BOTH_RIGHT)
    gate.show("1=tabby 2=fault", 1)
    report = gate.report()

    assert (report.labelled.pictures, report.labelled.only_current, report.labelled.agreed) == (101, 1, 100)
    assert [(one.current, one.candidate) for one in report.disagreements] == [("tabby", "")]


def test_a_picture_that_all_give_up_counts_for_neither(gate):
    gate.show(BOTH_RIGHT)
    gate.show("1=fault 2=fault", 1)
    report = gate.report()

    assert (report.labelled.pictures, report.labelled.left_out) == (100, 1)


def test_a_picture_that_is_there_again_counts_once(gate):
    """One picture in a hundred files says no more than in one, and the interval would be that of a hundred."""
    gate.show(BOTH_RIGHT)
    (gate.pictures / "tabby" / "again.gif").write_bytes((gate.pictures / "tabby" / "0000.gif").read_bytes())
    (gate.pictures / "tabby" / "0001.gif").write_bytes((gate.pictures / "tabby" / "0000.gif").read_bytes())
    gate.begin()

    assert gate.ended().fault == "of 101 labelled pictures only 99 were answered by both versions, and 100 are needed"


def test_too_few_that_can_be_read_are_no_check(gate):
    gate.show(BOTH_RIGHT, 99)
    gate.show(BOTH_RIGHT, 1)
    (gate.pictures / "tabby" / "0007.gif").write_bytes(GIF + b"bad")
    gate.begin()
    ended = gate.ended()

    assert ended.report is None
    assert ended.fault == "of 100 labelled pictures only 99 were answered by both versions, and 100 are needed"


def test_a_job_that_is_lost_is_tried_again_once(gate, monkeypatch):
    """The second time it may be the picture's fault."""
    gate.show(BOTH_RIGHT, 102)
    _lose(gate, monkeypatch, waits={0, 4, 5})  # a job of the first picture, and one of the second and its other try
    report = gate.report()

    assert (report.labelled.pictures, report.labelled.left_out) == (101, 1)


@pytest.mark.long
def test_a_version_whose_workers_have_all_gone_ends_its_check(gate, monkeypatch):
    monkeypatch.setattr(replay, "ABSENT_FOR_S", 1.0)
    gate.show("1=tabby/20 2=tabby/20")
    gate.begin()
    eventually(lambda: gate.latest().done > 0, "it has begun")
    gate.workers.kill_all()
    ended = gate.ended()

    assert ended.report is None
    assert ended.fault.startswith("no worker of scripted@")


@pytest.mark.parametrize("replaced", [CURRENT, CANDIDATE], ids=str)
def test_answers_of_another_bundle_than_was_there_at_the_begin_end_it(gate, replaced):
    """Its figures would be of two."""
    gate.show(BOTH_RIGHT)
    runner = gate.services.check_runner
    labels = LabelList(CURRENT, "-", ("tabby", "lynx"))
    files = runner._files(MODEL, labels, ExpectedLabels(labels, labels), ModelTask.CLASSIFICATION)
    comparing = Comparing(
        task=ModelTask.CLASSIFICATION,
        current=CURRENT,
        candidate=CANDIDATE,
        current_digests=("another",) if replaced is CURRENT else served(gate, CURRENT),
        digests=("another",) if replaced is CANDIDATE else served(gate, CANDIDATE),
        labels=ExpectedLabels(labels, labels),
        files=files,
    )
    check = Check(against=MODEL, digests=("another",), done=0, of=100, began="", by="", run="r")
    checks.begin(gate.workers.redis, CANDIDATE, check)
    CheckRun(runner._parts, comparing, check).start()

    assert gate.ended().fault == f"another bundle of {replaced} has taken its place meanwhile"


def served(gate, version):
    return tuple({entry.digest for entry in live_workers_of(gate.workers.redis, [version.key])})


def test_a_restart_of_redis_ends_it_visibly(any_server, gate):
    gate.show("1=tabby/20 2=tabby/20")
    gate.begin()
    eventually(lambda: gate.latest().done > 0, "it has begun")
    any_server.stop()
    time.sleep(1)
    any_server.start()
    ended = eventually(lambda: not (now := gate.latest()).runs and now, "it ends, or goes on to its end")

    assert ended.report is not None or ended.fault


# When it is refused


@pytest.mark.long
def test_only_one_runs_at_a_time(gate):
    gate.show("1=tabby/10 2=tabby/10")
    gate.begin()
    with pytest.raises(ModelNotChanged, match="a candidate of scripted is being checked already"):
        gate.begin()
    assert gate.ended().report is not None

    assert gate.report().passed


def test_without_a_candidate_there_is_nothing_to_check(gate):
    gate.show(BOTH_RIGHT)
    name_candidate(gate.workers, None)

    with pytest.raises(ModelNotChanged, match="scripted has no candidate"):
        gate.begin()
    with pytest.raises(CheckNotFound, match="scripted has no candidate"):
        gate.latest()


def test_a_candidate_that_was_never_checked_has_no_check(gate):
    with pytest.raises(CheckNotFound, match="scripted@2 has not been checked"):
        gate.latest()


def test_a_model_that_there_is_not_has_none_either(gate):
    with pytest.raises(UnknownModel):
        gate.services.check_runner.begin("unheard-of", "an operator")
    with pytest.raises(UnknownModel):
        gate.services.check_runner.latest("unheard-of")


def test_a_candidate_that_nobody_serves_is_not_checked(gate):
    gate.show(BOTH_RIGHT)
    name_candidate(gate.workers, "3")

    with pytest.raises(NoWorker, match="no worker of scripted@3 is ready"):
        gate.begin()


def test_without_pictures_it_says_which_setting_names_them(gate):
    gate.services = gate.service(check_dir=None)

    with pytest.raises(ModelNotChanged, match="set CHECK_DIR to a folder of them"):
        gate.begin()


def test_labels_that_neither_version_knows_are_named(gate):
    """Most likely they are misspelt, or the folder is another model's."""
    gate.show(BOTH_RIGHT, 98)
    gate.show(BOTH_RIGHT, 1, label="tiger")
    gate.show(BOTH_RIGHT, 1, label="lion")

    with pytest.raises(ModelNotChanged, match="labels that neither version knows: lion, tiger"):
        gate.begin()


# Promotion, and processes that die


@pytest.fixture
def api(any_server: Server, workers: ScriptedWorkers) -> Iterator[Api]:
    workers.start(MODELS=BOTH)
    name_candidate(workers)
    pictures = str(workers.folder / "pictures")
    with Api(any_server.api_url, workers.folder, processes=1, ADMIN_API_KEY=ADMIN_KEY, CHECK_DIR=pictures) as api:
        yield api


@pytest.fixture
def operator(api: Api) -> Operator:
    return Operator(f"http://127.0.0.1:{api.address[1]}", MODEL)


def test_without_a_passed_check_promotion_is_refused_with_the_figures_unless_it_is_forced(
    any_server, workers, operator
):
    gate = Gate(any_server, workers)
    gate.show(BOTH_RIGHT, 80)
    gate.show(ONLY_CURRENT, 20)
    unchecked = operator.send("POST", "promote")
    begun, checked = operator.begin(), operator.checked()
    refused = operator.send("POST", "promote")
    state = read_state(workers.redis, MODEL)
    forced = operator.send("POST", "promote", force="the pictures' labels were wrong")

    assert (unchecked.status_code, unchecked.json()["detail"]) == (
        409, "scripted@2 has not been checked; nothing was changed",
    )  # fmt: skip
    assert (begun["state"], begun["of"], checked["state"]) == ("running", 100, "failed")
    assert checked["report"]["labelled"]["interval"] == [-0.2784, -0.1216]
    assert len(checked["report"]["disagreements"]) == 20
    assert checked["report"]["disagreements"][0]["display"].startswith("/display/")
    assert refused.status_code == 409
    assert refused.json()["detail"] == (
        "scripted@2 has not passed its check: it is worse: 80 of 100 labelled pictures right, scripted@1 100, which is "
        "-20.0 points (95% interval -27.8 to -12.2); nothing was changed"
    )
    assert state is not None
    assert (state.current, state.candidate) == ("1", "2")
    assert (forced.status_code, forced.json()["version"]) == (200, "2")
    assert latest(workers.redis, MODEL, 1)[0].change.action == "promote, forced: the pictures' labels were wrong"


def test_a_passed_check_opens_the_gate_for_these_two_versions_only(any_server, workers, operator):
    Gate(any_server, workers).show(BOTH_RIGHT)
    operator.begin()
    operator.checked()
    state = read_state(workers.redis, MODEL)
    assert state is not None
    change(workers.redis, MODEL, state, replace(state, current="3", generation=9), Change(action="", by="", words=""))
    stale = operator.send("POST", "promote")
    change(workers.redis, MODEL, read_state(workers.redis, MODEL), state, Change(action="", by="", words=""))
    promoted = operator.send("POST", "promote")

    assert stale.status_code == 409
    assert "was checked against another version" in stale.json()["detail"]
    assert (promoted.status_code, promoted.json()["previous"]) == (200, "1")


def test_a_check_that_runs_opens_nothing(any_server, workers, operator):
    Gate(any_server, workers).show("1=tabby/10 2=tabby/10")
    operator.begin()
    refused = operator.send("POST", "promote")
    again = operator.send("POST", "candidate/check")
    operator.checked()

    assert refused.json()["detail"] == "the check of scripted@2 is still running; nothing was changed"
    assert (again.status_code, again.json()["detail"]) == (409, "a candidate of scripted is being checked already")


@pytest.mark.long
def test_requests_go_on_while_a_check_runs(any_server, workers, api, operator):
    """They go before it: each waits for one picture of the check at most."""
    Gate(any_server, workers).show("1=tabby/15 2=tabby/15")
    operator.begin()
    took: list[float] = []
    while operator.look()["state"] == "running":
        began = time.monotonic()
        assert api.predict(f"cat {len(took)}") == 200
        took.append(time.monotonic() - began)

    assert operator.checked()["state"] == "passed"
    assert len(took) > 10
    assert sorted(took)[len(took) // 2] < 0.2


@pytest.mark.long
def test_a_check_whose_process_was_killed_shows_as_broken_off_and_can_be_begun_again(
    any_server, workers, api, operator
):
    Gate(any_server, workers).show("1=tabby/20 2=tabby/20")
    operator.begin()
    eventually(lambda: operator.look()["done"] > 10, "it is under way")
    (process,) = api.processes()
    api.replace(process)
    began = time.monotonic()
    broken = operator.ended()
    noticed_s = time.monotonic() - began
    refused = operator.send("POST", "promote")
    operator.begin()

    assert (broken["state"], broken["fault"]) == ("broken", BROKEN_OFF)
    assert 0 < broken["done"] < broken["of"]
    assert noticed_s < RUNS_FOR_S + 2
    assert "has ended without a report (it was broken off" in refused.json()["detail"]
    assert operator.checked()["state"] == "passed"


def _lose(gate: Gate, monkeypatch: pytest.MonkeyPatch, waits: set[int]) -> None:
    """Let Redis lose the jobs that are waited for at these turns; a wait for two beats has two turns."""
    queue, turn = gate.services.queue, count()
    wait = queue.wait

    def losing(job_id: str, deadline: Deadline) -> Outcome:
        if next(turn) in waits:
            raise JobLost("Redis lost this request's job")
        return wait(job_id, deadline)

    monkeypatch.setattr(queue, "wait", losing)


def _sent_ago(gate: Gate, script: str, seconds: float) -> str:
    """The name of a stored picture that was sent so long ago."""
    name = gate.services.store.put(GIF + script.encode())
    _age(gate, name, seconds)
    return name


def _age(gate: Gate, name: str, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(gate.workers.folder / "uploads" / name[:2] / name, (at, at))
