"""A candidate beside the version that answers: which pictures meet it, and what becomes of it when it fails.

The whole application, on a real server with scripted workers that serve several versions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from api.core import shadows
from api.core.client import Client
from api.core.routing import part_of
from contract import keys, tallies
from contract.job_queue import async_queue_name, bulk_async_queue_name, queue_name
from contract.messages import ClassifyJob
from contract.model_changes import Change
from contract.model_state import ModelState, change, read_state
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.asking import CLASSIFICATION
from tests.support.operated_site import PICTURES, SECOND
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import eventually

if TYPE_CHECKING:
    from redis import Redis

    from tests.support.workers import ScriptedWorkers


@pytest.fixture
def workers(scripted_workers: ScriptedWorkers) -> ScriptedWorkers:
    return scripted_workers


def paper_worker(redis: Redis, model: str, *, service_ms: float = 1.0, bulk_ms: float | None = None) -> None:
    """A worker that is only registered: requests rely on it, and no process takes them."""
    register(redis, [model])
    entry = WorkerEntry(
        worker_id="paper", host="h", model=model, digest=DIGEST, batch=1, service_ms=service_ms, bulk_ms=bulk_ms
    )
    heartbeat(redis, entry)


def paper_candidate(workers: ScriptedWorkers, *, share: int = 0, shadow: int = 0, bulk_ms: float | None = None) -> None:
    """A candidate whose jobs stay where they are: no worker can load it."""
    workers.start(LOADS="refused")
    paper_worker(workers.redis, SECOND, bulk_ms=bulk_ms)
    state = read_state(workers.redis, MODEL)
    assert state is not None
    why = Change(action="test", by="a test", words="")
    change(workers.redis, MODEL, state, state.with_candidate("2", share, shadow), why)


def waiting(redis: Redis, queue: str) -> int:
    return int(redis.llen(f"rq:queue:{queue}"))


def test_a_picture_always_meets_the_same_version_and_a_larger_share_moves_pictures_one_way(workers, open_site):
    """Otherwise a person who sends a picture twice might be told two things, and figures would compare other crowds."""
    workers.start()
    site = open_site()
    met = {}
    for share in (0, 30, 60, 100):
        site.candidate(share=share)
        met[share] = {script for script, version in site.versions().items() if version == "2"}
    site.candidate(share=30)

    assert not met[0]
    assert met[0] < met[30] < met[60] < met[100] == set(PICTURES)
    assert {script for script, version in site.versions().items() if version == "2"} == met[30]


def test_shares_are_of_all_pictures_and_of_each_candidate_others():
    parts = {version: [part_of(version, f"{number:064x}") for number in range(10_000)] for version in ("2", "3")}

    assert all(abs(sum(part < 30 for part in found) - 3000) < 200 for found in parts.values())
    assert parts["2"] != parts["3"]


def test_who_names_a_version_gets_it_whatever_the_share(workers, open_site):
    workers.start()
    site = open_site()
    site.candidate(share=100)

    assert site.version("cat", model=f"{MODEL}@1") == "1"
    assert site.version("cat", model=MODEL) == "2"
    assert site.version("cat") == "2"
    site.candidate(share=0)
    assert site.version("cat", model=SECOND) == "2"


def test_a_picture_that_a_candidate_fails_at_is_answered_by_the_current_version(workers, open_site):
    """Nobody has asked to take part in a trial."""
    workers.start()
    site = open_site()
    site.candidate(share=100)

    assert site.version("2:fault cat") == "1"
    assert tallies.read(workers.redis, SECOND, MODEL) == [tallies.Tally(0, 1), tallies.Tally(1, 0)]


def test_a_candidate_that_takes_too_long_leaves_the_current_version_time_to_answer(workers, open_site):
    paper_candidate(workers, share=100)
    site = open_site(request_timeout_s=4)
    (job,) = [site.version("cat"), *workers.redis.lrange(f"rq:queue:{queue_name(SECOND)}", 0, -1)][1:]

    assert workers.batches() == ["cat"]
    assert not workers.redis.exists(keys.wanted(job.decode()))  # so the candidate computes it no more


def test_a_candidate_with_too_much_to_do_costs_nobody_an_answer(workers, open_site):
    """Its queue is too long for the half of the time that it has, not for the whole."""
    paper_candidate(workers, share=100)
    paper_worker(workers.redis, SECOND, service_ms=3000)  # for two, one of them in hand: 9 s
    for _ in range(2):
        workers.queue.submit(SECOND, ClassifyJob("a" * 64, cache=False), 60)
    site = open_site(request_timeout_s=20)

    assert site.version("cat") == "1"
    assert waiting(workers.redis, queue_name(SECOND)) == 2
    assert tallies.read(workers.redis, SECOND)[0].failed == 0


def test_a_candidate_that_fails_more_often_than_the_current_version_loses_its_share(workers, open_site, caplog):
    """By itself, at night too; it is logged, counted and in the history, and stays candidate."""
    workers.start()
    site = open_site()
    site.candidate(share=100)
    before = site.state
    for number in range(5):
        assert site.state == before
        assert site.version(f"2:fault cat {number}") == "1"
    site.look_again()

    assert site.state == ModelState("1", None, before.generation + 1, "2", 0, 0)
    assert site.version("cat") == "1"
    words = f"{SECOND} lost its share: 5 of its 5 computations failed, and 0 of 4 of the current version's"
    assert [record.getMessage() for record in caplog.records if "share" in record.getMessage()] == [words]
    assert site.metric("classifier_candidates_withdrawn_total") == "1.0"
    assert site.history()[0] == ("withdraw", "the service")


def test_a_candidate_that_fails_no_more_often_than_the_current_version_keeps_its_share(workers, open_site):
    """Pictures that no version can compute are not its fault."""
    workers.start()
    site = open_site()
    site.candidate(share=50)
    state = site.state
    for number in range(12):
        site.send(f"fault {number}")

    assert tallies.read(workers.redis, SECOND)[0].failed >= 5
    assert site.state == state


def test_a_share_that_is_given_again_is_not_lost_for_what_failed_before(workers, open_site):
    workers.start()
    site = open_site()
    site.candidate(share=100)
    for number in range(5):
        site.send(f"2:fault cat {number}")
    site.candidate(share=100)
    state = site.state
    site.send("2:fault cat")

    assert site.state == state


def test_what_begins_to_fail_after_weeks_shows_soon(redis):
    """A tally of all that ever was would hide thousands of failures behind a million answers."""
    for _ in range(2000):
        tallies.count(redis, MODEL, failed=False)
    for _ in range(50):
        tallies.count(redis, MODEL, failed=True)
    (tally,) = tallies.read(redis, MODEL)

    assert tally.requests <= tallies.REMEMBERED
    assert tally.failed == 50
    assert tally.failed_share > 0.1


def test_a_shadow_is_compared_and_never_answered(workers, open_site):
    workers.start()
    site = open_site()
    site.candidate(shadow=100)

    assert [site.version(script) for script in ("cat", "2:lynx cat", "dog")] == ["1", "1", "1"]
    eventually(lambda: site.comparison.agreed == 2, "two agree")
    eventually(lambda: site.comparison.disagreed == 1, "one does not")
    (found,) = site.comparison.disagreements
    assert found.picture == workers.store.put(GIF + b"2:lynx cat")
    assert (found.answered.model, found.answered.label, found.label) == (MODEL, "cat", "lynx")
    assert "answer:" not in str(workers.redis.keys(f"answer:{SECOND}:*"))


def test_a_shadow_that_the_candidate_is_given_up_with_is_counted(workers, open_site):
    workers.start()
    site = open_site()
    site.candidate(shadow=100)

    assert site.version("2:fault cat") == "1"
    assert site.version("2:bad cat") == "1"
    eventually(lambda: site.comparison.failed == 2, "both are counted")
    assert site.comparison.agreed == site.comparison.disagreed == 0


def test_shadows_wait_behind_all_requests(workers, open_site):
    """Their queue is that of async jobs; what is costly to decode is on that of costly ones."""
    paper_candidate(workers, shadow=100, bulk_ms=0.0)
    site = open_site()
    site.version("cat")

    assert waiting(workers.redis, async_queue_name(SECOND)) == 1
    assert waiting(workers.redis, queue_name(SECOND)) == 0
    pool = site.services.live_workers.fleet().pools[SECOND]
    answer = site.services.inference.infer(b"dog", Client("192.0.2.1"), CLASSIFICATION).found
    shadows.Shadows(site.services.queue).compare(pool, ClassifyJob("a" * 64, cache=True), answer, bulk=True)
    assert waiting(workers.redis, bulk_async_queue_name(SECOND)) == 1


def test_only_a_share_of_the_pictures_is_shadowed_and_always_the_same(workers, open_site):
    paper_candidate(workers, shadow=50)
    site = open_site()
    site.versions()
    first = waiting(workers.redis, async_queue_name(SECOND))
    site.versions()

    assert 5 < first < 35
    assert waiting(workers.redis, async_queue_name(SECOND)) == 2 * first


def test_pictures_of_a_private_key_are_never_shadowed(workers, open_site):
    """Who has asked for a computation of its own has not asked for two, nor to be in a list of disagreements."""
    paper_candidate(workers, shadow=100)
    inference = open_site().services.inference
    inference.infer(b"cat", Client("192.0.2.1", private=True), CLASSIFICATION)
    assert waiting(workers.redis, async_queue_name(SECOND)) == 0

    inference.infer(b"cat", Client("192.0.2.1"), CLASSIFICATION)
    assert waiting(workers.redis, async_queue_name(SECOND)) == 1


def test_a_picture_that_many_send_at_once_is_shadowed_once(workers, open_site):
    paper_candidate(workers, shadow=100)
    site = open_site(result_cache=True)
    with ThreadPoolExecutor(4) as senders:
        assert set(senders.map(site.version, ["slow"] * 4)) == {"1"}

    assert waiting(workers.redis, async_queue_name(SECOND)) == 1


def test_a_candidate_that_is_far_behind_gets_no_more_to_compute(workers, open_site, monkeypatch):
    """Its jobs hold pictures, and take room in Redis that those need for whom somebody waits."""
    monkeypatch.setattr(shadows, "MOST_WAITING", 3)
    monkeypatch.setattr(shadows, "PAUSE_S", 3600)
    paper_candidate(workers, shadow=100)
    site = open_site()
    site.versions()

    assert waiting(workers.redis, async_queue_name(SECOND)) == 4


def test_in_a_redis_that_fills_up_nothing_is_shadowed(workers, open_site):
    paper_candidate(workers, shadow=100)
    site = open_site()
    with workers.redis_filled_to(0.7):
        site.look_again()
        site.version("cat")

    assert waiting(workers.redis, async_queue_name(SECOND)) == 0


def test_where_the_candidate_is_the_version_that_answers_it_is_refused(workers, open_site):
    workers.start()
    site = open_site()
    refused = site.operate("PUT", "/candidate", version="1")

    assert refused.status_code == HTTPStatus.CONFLICT
    assert "scripted@1 is the current version, and can't be its own candidate" in refused.text
    by_path = site.operate("PUT", "/candidate", path="folder/1")
    assert by_path.status_code == HTTPStatus.CONFLICT
    assert site.state == ModelState("1", None, 1)


def test_a_path_that_holds_another_version_than_is_named_beside_it_is_refused(workers, open_site):
    """Also where the version that is named is served already: the bundle at the path is not passed over."""
    workers.start()
    site = open_site()
    assert site.operate("PUT", "/candidate", version="2").status_code == HTTPStatus.OK
    refused = site.operate("PUT", "/candidate", version="2", path="folder/3")

    assert refused.status_code == HTTPStatus.CONFLICT
    assert "folder/3 is scripted@3, not version 2" in refused.text
    assert site.state.candidate == "2"


@pytest.mark.parametrize("part", [{"share": 101}, {"share": -1}, {"shadow": 1000}, {"share": "half"}, {"share": 1.5}])
def test_a_share_that_is_none_is_refused_before_anything_is_loaded(workers, open_site, part):
    site = open_site()
    refused = site.operate("PUT", "/candidate", version="2", **part)

    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "must be a whole number from 0 to 100, in per cent" in refused.text
    assert not workers.redis.keys("load:*")


def test_of_two_operators_at_once_one_is_refused(workers, open_site):
    workers.start(LOADS="held")
    site = open_site()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(site.operate, "PUT", "/candidate", version="2", share=10)
        eventually(lambda: workers.redis.keys("load:*"), "the first is asking workers")
        second = site.operate("PUT", "/candidate", version="3", share=20)
        (workers.folder / "go").touch()

    assert first.result().status_code == HTTPStatus.OK
    assert second.status_code == HTTPStatus.CONFLICT
    assert (site.state.candidate, site.state.share) == ("2", 10)


def test_every_change_is_recorded_with_the_key_that_made_it(workers, open_site):
    workers.start()
    site = open_site()
    site.candidate(share=10)
    assert site.operate("POST", "/promote").status_code == HTTPStatus.CONFLICT  # nothing is recorded of it
    assert site.operate("POST", "/promote", force="it has run elsewhere").status_code == HTTPStatus.OK
    assert site.operate("POST", "/rollback").status_code == HTTPStatus.OK
    site.candidate()
    assert site.operate("DELETE", "/candidate").status_code == HTTPStatus.OK

    assert site.history() == [
        ("candidate", "admin"),
        ("candidate", "admin"),
        ("rollback", "admin"),
        ("promote, forced: it has run elsewhere", "admin"),
        ("candidate", "admin"),
        ("start", "a worker"),
    ]


@pytest.fixture
def busy(workers: ScriptedWorkers) -> ScriptedWorkers:
    """A model whose wait is too long for any request, and another, the fallback, with nothing to do."""
    paper_worker(workers.redis, MODEL, service_ms=60_000)
    why = Change(action="test", by="a test", words="")
    change(workers.redis, MODEL, None, ModelState("1", None, 1), why)
    for _ in range(2):  # of which a worker is taken to have computed some since
        workers.queue.submit(MODEL, ClassifyJob("a" * 64, cache=False), 60)
    workers.start(MODELS="other")
    paper_worker(workers.redis, MODEL, service_ms=60_000)  # its first entry may have run out meanwhile
    return workers


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("query", [{}, {"model": MODEL}])
def test_where_the_wait_is_too_long_the_fallback_answers_and_the_answer_says_so(open_site, query):
    site = open_site(fallback_model="other", default_model=MODEL)
    response = site.send("cat", **query)

    assert response.status_code == HTTPStatus.OK, response.text
    assert response.headers["X-Model"].startswith("other@")
    assert response.headers["X-Fallback"] == "overload"
    assert response.json is not None
    assert response.json["predictions"] == [{"label": "cat", "confidence": 1.0}]
    assert "X-Fallback" not in site.send("cat", model="other").headers


@pytest.mark.usefixtures("busy")
def test_who_names_a_version_is_never_answered_by_the_fallback(open_site):
    site = open_site(fallback_model="other", default_model=MODEL)
    response = site.send("cat", model=f"{MODEL}@1")

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.usefixtures("busy")
def test_without_a_fallback_the_wait_is_told(open_site):
    site = open_site(default_model=MODEL)

    assert site.send("cat").status_code == HTTPStatus.SERVICE_UNAVAILABLE


def test_a_model_that_has_time_answers_itself(workers, open_site):
    workers.start(MODELS=f"{MODEL},other")
    site = open_site(fallback_model="other", default_model=MODEL)
    response = site.send("cat")

    assert response.headers["X-Model"].startswith(f"{MODEL}@")
    assert "X-Fallback" not in response.headers
