"""``/admin/models``: what the operator sees of the models, and the forms by which they are changed."""

from __future__ import annotations

import json
import re
from html import unescape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.client import Pipeline

from contract import checks, keys
from contract.checks import Check, Compared, Disagreed, Report
from contract.model_version import ModelVersion
from contract.worker_registry import WorkerEntry, heartbeat, register
from tests.support.operated_site import OPERATOR, SECOND
from tests.support.scripted_worker import DIGEST, GIF, MODEL
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.test import TestResponse

    from tests.support.operated_site import OperatedSite
    from tests.support.workers import ScriptedWorkers

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
CANDIDATE = ModelVersion(MODEL, "2")


@pytest.fixture
def workers(scripted_workers: ScriptedWorkers) -> ScriptedWorkers:
    return scripted_workers


@pytest.fixture
def site(workers: ScriptedWorkers, open_site: Callable[..., OperatedSite]) -> OperatedSite:
    workers.start()
    return open_site()


def listed(site: OperatedSite) -> dict[str, Any]:
    """The only model, as a program reads it."""
    (model,) = all_listed(site)
    return model


def all_listed(site: OperatedSite) -> list[dict[str, Any]]:
    answer = site.client.get("/admin/models", headers=OPERATOR).json
    assert answer is not None
    return list(answer["models"])


def page(site: OperatedSite, query: str = "") -> str:
    return site.client.get(f"/admin/models{query}", headers=OPERATOR | BROWSER).text


def text(html: str) -> str:
    """As a person reads it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def post(site: OperatedSite, **fields: str | int) -> TestResponse:
    return site.client.post(f"/admin/models/{MODEL}", data=fields, headers=OPERATOR | BROWSER)


def confirmed(site: OperatedSite, **fields: str | int) -> TestResponse:
    """What the page that asks sends, unread."""
    asked = post(site, **fields)
    assert asked.status_code == HTTPStatus.OK, asked.text
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', asked.text)
    return post(site, **{name: unescape(value) for name, value in inputs})


def check(*, picture: str = "a" * 64, passed: bool = True) -> Check:
    labelled = Compared(
        pictures=100, agreed=98, right_current=90, right_candidate=91, only_candidate=1, difference=0.01, low=-0.01,
        high=0.03, left_out=2,
    )  # fmt: skip
    report = Report(
        passed=passed,
        verdict="it is not worse",
        labelled=labelled,
        stored=Compared(pictures=50, agreed=50),
        mean_ms_current=10.0,
        mean_ms_candidate=11.0,
        p99_ms_current=20.0,
        p99_ms_candidate=22.0,
        missing_labels=("space_shuttle",),
        disagreements=(Disagreed(picture=picture, expected="tabby", current="lynx", candidate="tabby"),),
    )
    return Check(
        against=MODEL, digests=("d" * 64,), done=150, of=150, began="2026-01-31T12:00:00+00:00", by="admin",
        report=report,
    )  # fmt: skip


def store(redis: Redis, kept: Check) -> None:
    redis.set(keys.check(CANDIDATE.key), kept.to_json())


def test_a_program_reads_every_version_with_who_serves_it(site):
    site.candidate(share=20, shadow=30)
    found = listed(site)

    assert (found["name"], found["default"], found["share"], found["shadow"]) == (MODEL, True, 20, 30)
    assert (found["current"], found["candidate"], found["previous"]) == ("1", "2", None)
    assert [(one["version"], one["role"], one["workers"]) for one in found["versions"]] == [
        ("1", "current", 1),
        ("2", "candidate", 1),
    ]
    assert found["computations"]["1"] == {"answered": 0, "failed": 0}
    assert [(one["action"], one["by"]) for one in found["history"]] == [("candidate", "admin"), ("start", "a worker")]


def test_what_waits_is_counted_by_who_waits(workers, open_site):
    """Costly pictures with the others: of requests, for which somebody waits, and of jobs."""
    register(workers.redis, [MODEL])
    entry = WorkerEntry(worker_id="paper", host="h", model=MODEL, digest=DIGEST, batch=1, service_ms=12.34)
    heartbeat(workers.redis, entry)
    for number, queue in enumerate(("classify", "bulk", "tickets", "bulk-tickets", "copies"), 1):
        workers.redis.rpush(f"rq:queue:{queue}-{MODEL}", *range(number))
    site = open_site()
    (version,) = listed(site)["versions"]

    assert [version[waits] for waits in ("queued", "bulk_queued", "async_queued")] == [1, 2, 3 + 4]
    assert (version["digests"], version["mean_service_ms"]) == ([{"digest": DIGEST, "precision": ""}], 12.3)
    assert "1 3 7 12.3" in text(page(site))


def test_a_person_reads_what_the_check_has_found_and_sees_the_pictures(site, workers):
    site.candidate(shadow=100)
    assert site.version("2:lynx cat") == "1"
    eventually(lambda: site.comparison.disagreed, "they differ")
    store(workers.redis, check(picture=workers.store.put(GIF + b"2:lynx cat")))
    shown = page(site)
    words = text(shown)

    assert "passed it is not worse. Against version 1, 2026-01-31 12:00 UTC, by admin." in words
    assert "Labelled 100 98.0% 90.0% 91.0% +1.0 (-1.0 to +3.0)" in words
    assert "Sent lately 50 100.0%" in words
    assert "Label tabby 1 lynx 2 tabby" in words
    assert "1 cat 100% 2 lynx 100%" in words
    links = re.findall(r'src="(/display/[^"]+)"', shown)
    assert len(links) == 2
    assert all("signature=" in link for link in links)


def test_a_picture_that_is_gone_has_a_place_that_says_so(site, workers):
    site.candidate()
    store(workers.redis, check())

    assert 'alt="No picture stored"' in page(site)
    (one,) = listed(site)["check"]["report"]["disagreements"]
    assert one["display"] is None


def test_a_check_that_runs_shows_how_far_it_is_and_one_that_was_broken_off_that_it_was(site, workers):
    site.candidate()
    running = Check(
        against=MODEL, digests=(), done=7, of=150, began="2026-01-31T12:00:00+00:00", by="admin", run="r" * 32
    )
    assert checks.begin(workers.redis, CANDIDATE, running)
    assert "7 of 150 pictures, begun 2026-01-31 12:00 UTC by admin" in text(page(site))
    assert 'value="7" max="150"' in page(site)

    workers.redis.delete(keys.checking(MODEL))
    assert "it was broken off" in text(page(site))
    assert listed(site)["check"]["state"] == "broken"


def test_that_a_candidate_has_lost_its_share_is_shown_until_it_gets_another(site):
    site.candidate(share=100)
    for number in range(5):
        site.send(f"2:fault cat {number}")
    lost = f"{SECOND} lost its share: 5 of its 5 computations failed"

    assert lost in text(page(site)).partition("History")[0]
    site.candidate(share=1)
    assert lost not in text(page(site)).partition("History")[0]


def test_every_change_is_asked_for_twice_and_then_made(site):
    """From another version to all traffic and back, without a script."""
    steps: list[tuple[dict[str, Any], tuple[object, ...]]] = [
        ({"action": "candidate", "version": "2", "share": 10, "shadow": 5}, ("1", "2", 10, 5)),
        ({"action": "drop"}, ("1", None, 0, 0)),
        ({"action": "candidate", "path": "folder/2", "share": 0, "shadow": 0}, ("1", "2", 0, 0)),
        ({"action": "promote", "force": "it has run elsewhere"}, ("2", None, 0, 0)),
        ({"action": "rollback"}, ("1", None, 0, 0)),
        ({"action": "reload", "path": "3"}, ("3", None, 0, 0)),
    ]
    for fields, expected in steps:
        before = site.state
        assert "Yes, do it" in post(site, **fields).text
        assert site.state == before
        done = confirmed(site, **fields)

        assert done.status_code == HTTPStatus.SEE_OTHER, text(done.text)
        assert done.headers["Location"] == f"/admin/models?done={fields['action']}&model={MODEL}"
        assert MODEL in text(page(site, "?" + done.headers["Location"].partition("?")[2]))
        state = site.state
        assert (state.current, state.candidate, state.share, state.shadow) == expected


def test_the_question_says_what_would_be_done(site):
    asked = text(post(site, action="candidate", path="folder/2", share=10, shadow=5).text)
    assert "load the bundle at folder/2 and serve it beside version 1. It answers 10% of the pictures" in asked
    site.candidate(share=10)

    assert "Promote scripted@2?" in text(post(site, action="promote").text)
    assert "It must have passed its check." in text(post(site, action="promote").text)
    assert "because: “it has run elsewhere”. That is recorded." in text(
        post(site, action="promote", force=" it has  run elsewhere").text
    )
    assert "<script>" not in post(site, action="promote", force="<script>").text
    assert "it answers 10% now" in text(post(site, action="drop").text)


def test_a_refusal_is_shown_on_the_page_with_its_status(site):
    site.candidate(share=10)
    refused = confirmed(site, action="promote")

    assert refused.status_code == HTTPStatus.CONFLICT
    assert f"{SECOND} has not been checked; nothing was changed" in text(refused.text)
    assert 'role="alert"' in refused.text
    assert site.state.current == "1"


def test_a_check_without_pictures_to_check_with_says_what_to_set(site):
    site.candidate()
    refused = confirmed(site, action="check")

    assert refused.status_code == HTTPStatus.CONFLICT
    assert "set CHECK_DIR to a folder of them" in text(refused.text)


@pytest.mark.parametrize(
    "action",
    [
        "promote",
        *(pytest.param(action, marks=pytest.mark.long) for action in ("reload", "candidate", "drop", "rollback")),
    ],
)
def test_who_says_yes_to_what_has_changed_meanwhile_changes_nothing(site, action):
    """Somebody else might have named another candidate: that one was not to be promoted."""
    site.candidate(version="2")
    assert confirmed(site, action="promote", force="for a version before").status_code == HTTPStatus.SEE_OTHER
    site.candidate(version="3")
    asked = post(site, action=action, version="3", force="sure")
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', asked.text)
    site.candidate(version="4", share=5)
    state = site.state
    refused = post(site, **dict(inputs))

    assert refused.status_code == HTTPStatus.CONFLICT
    assert "somebody else has changed scripted meanwhile" in text(refused.text)
    assert site.state == state


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 400, "action must be one of"),
        ({"action": "delete"}, 400, "action must be one of"),
        ({"action": "candidate", "version": "2", "share": "101"}, 400, "share must be a whole number from 0 to 100"),
        ({"action": "candidate", "version": "a b"}, 400, "version must be"),
        ({"action": "reload", "path": "../x"}, 400, "path must be a bundle's below the models' folder"),
        ({"action": "reload", "confirmed": "yes"}, 400, "generation must be"),
        ({"action": "reload", "confirmed": "yes", "generation": "²"}, 400, "generation must be"),
        ({"action": "reload", "confirmed": "yes", "generation": "9" * 5_000}, 400, "generation must be"),
        ({"action": "candidate"}, 409, "say which version"),
        ({"action": "drop"}, 409, "scripted has no candidate"),
        ({"action": "promote"}, 409, "scripted has no candidate"),
        ({"action": "check"}, 409, "scripted has no candidate"),
        ({"action": "rollback"}, 409, "there is no version of scripted before 1 to go back to"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_done_is_said_at_once(site, fields, status, words):
    refused = post(site, **fields)

    assert refused.status_code == status
    assert words in text(refused.text)
    as_json = site.client.post(f"/admin/models/{MODEL}", data=fields, headers=OPERATOR | {"Accept": "application/json"})
    assert as_json.status_code == status
    assert as_json.content_type == "application/problem+json"


def test_a_model_that_there_is_not_cannot_be_changed(site):
    refused = site.client.post("/admin/models/other", data={"action": "reload"}, headers=OPERATOR | BROWSER)

    assert refused.status_code == HTTPStatus.NOT_FOUND


def test_another_origins_page_changes_nothing(site):
    """The browser would send the operator's password with it."""
    forged = {"action": "reload", "confirmed": "yes", "generation": "1"}
    for told in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://example.org"}):
        headers = {**OPERATOR, "Accept": BROWSER["Accept"], **told}
        assert site.client.post(f"/admin/models/{MODEL}", data=forged, headers=headers).status_code == 403

    assert site.state.current == "1"


def test_without_the_operators_key_nothing_is_shown_or_changed(site):
    assert site.client.get("/admin/models").status_code == HTTPStatus.UNAUTHORIZED
    assert site.client.post(f"/admin/models/{MODEL}", data={"action": "reload"}).status_code == HTTPStatus.UNAUTHORIZED


def test_the_page_shows_no_text_that_a_strangers_link_makes_up(site):
    shown = page(site, "?done=reload&model=<b>you+have+won</b>") + page(site, "?done=you-have-won&model=scripted")

    assert "won" not in shown
    assert "The reload of scripted is done." in text(page(site, "?done=reload&model=scripted"))


def test_whatever_somebody_has_written_into_redis_the_page_is_shown(site, workers):
    site.candidate()
    for key in (keys.check(SECOND), keys.shadow(SECOND), keys.disagreements(SECOND), keys.tally(MODEL)):
        workers.redis.delete(key)
        workers.redis.zadd(key, {"garbage": 1})
    workers.redis.delete(keys.changes(MODEL))
    workers.redis.set(keys.changes(MODEL), "garbage")

    assert "It has not been checked yet." in text(page(site))
    workers.redis.delete(keys.disagreements(SECOND), keys.check(SECOND))
    workers.redis.set(keys.check(SECOND), '{"report":{},"digests":[]}')
    written = [
        ["a" * 64, MODEL, "<script>", 0.5, "x", 0.5],
        ["<script>", MODEL, "x", 0.5, "x", 0.5],
        ["a" * 64, MODEL, "\ud800", 0.5, "x", 0.5],
        ["a" * 64, "a@b@c", "x", 0.5, "x", 0.5],
        ["a" * 64, MODEL, "x", float("nan"), "x", 1e9],
        [],
    ]
    workers.redis.lpush(keys.disagreements(SECOND), "{", *map(json.dumps, written))
    assert "<script>" not in page(site)
    assert "The latest 1 with another label" in text(page(site))
    assert len(listed(site)["comparison"]["disagreements"]) == 1


def test_the_page_costs_as_many_round_trips_of_five_models_as_of_one(site, workers, monkeypatch):
    sent: list[str] = []

    def counting(kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def counted(client: Any, *args: Any, **how: Any) -> Any:
            sent.append(name)
            return plain(client, *args, **how)

        monkeypatch.setattr(kind, name, counted)

    def trips() -> int:
        sent.clear()
        site.look_again()
        site.client.get("/admin/models", headers=OPERATOR)
        return len(sent)

    counting(Redis, "execute_command")
    counting(Pipeline, "execute")
    site.candidate()
    of_one = trips()
    workers.start(MODELS="a,b,c,d")

    assert trips() == of_one <= 20
    assert len(all_listed(site)) == 5
