"""The Python client against the real service, and the documentation's examples, run exactly as they are printed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from classifier_client import Client, InvalidPicture, NoSuchJob
from tests.pictures import odd
from tests.support.stack import Stack

ROOT = Path(__file__).parents[1]
PICTURES = Path(__file__).parent / "pictures"
EXAMPLE = re.compile(r"(?<!-->\n)```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)  # marked: run elsewhere


@pytest.fixture
def client(base_url):
    with Client(base_url) as client:
        yield client


def fresh(picture: str) -> bytes:
    """A photo that the service has not seen."""
    return (PICTURES / picture).read_bytes() + os.urandom(8)


@pytest.mark.parametrize("page", ["README.md", "docs/client.md"])
def test_the_examples_of_a_page_run_and_print_what_it_says(page, base_url, monkeypatch, capsys):
    """One after the other, as a reader would paste them. Only the service's address differs."""
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for code, printed in EXAMPLE.findall((ROOT / page).read_text()):
        if "classifier_client" not in code and not names:
            continue  # not about the client
        exec(compile(code.replace("http://127.0.0.1:8000", base_url), page, "exec"), names)  # noqa: S102  # our own page

        output = capsys.readouterr().out
        assert output == printed or not printed
    if isinstance(opened := names.get("client"), Client):
        opened.close()


def test_a_result_names_the_model_and_says_whether_it_was_cached(client):
    """As the service's headers say."""
    photo = fresh("chelsea.jpg")
    computed, known = client.classify(photo), client.classify(photo)

    assert computed.best.label == "Egyptian_cat"
    assert computed.predictions == known.predictions
    assert (computed.cache, known.cache) == ("miss", "hit")
    assert computed.model
    assert re.fullmatch(r"[0-9a-f]{12}", computed.digest)


def test_the_caller_chooses_how_many_labels_and_how_sure(client):
    assert len(client.classify(PICTURES / "chelsea.jpg", top_k=7).predictions) == 7
    assert [entry.label for entry in client.classify(PICTURES / "rocket.jpg", min_score=0.5).predictions] == ["missile"]
    with pytest.raises(InvalidPicture, match="top_k"):
        client.classify(PICTURES / "rocket.jpg", top_k=1000)


def test_half_a_picture_is_refused_unless_the_caller_wants_what_is_there(client):
    half = odd.truncated_png()
    with pytest.raises(InvalidPicture, match="damaged"):
        client.classify(half)

    assert client.classify(half, strict=False).damaged
    assert client.submit(half, strict=False).result().damaged
    assert not client.classify(PICTURES / "chelsea.jpg", strict=False).damaged


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"", 400, "empty"),
        (odd.text_as_jpeg(), 415, "not a picture"),
        (odd.truncated_jpeg(), 422, "cut short"),
        (odd.huge_png(), 413, "30000x30000"),
        (os.urandom(25_000_000), 413, "it has 25.1 MB, and at most 20 MB are taken"),
    ],
    ids=["empty", "text", "truncated", "huge", "too many bytes"],
)
def test_a_bad_file_is_an_invalid_picture_in_the_services_words(client, data, status, says):
    """The last one is refused while it is still being sent."""
    with pytest.raises(InvalidPicture, match=says) as error:
        client.classify(data)

    assert error.value.status == status


@pytest.mark.long
def test_a_busy_service_is_waited_for_until_every_picture_is_answered(tmp_path):
    """An address has one request answered at a time, others are refused: none is lost, without a loop in the caller."""
    pictures = [fresh("chelsea.jpg") for _ in range(4)]
    with Stack(tmp_path, MAX_IN_FLIGHT="2", WEB_CONCURRENCY="1", WORKERS="1") as stack, Client(stack.url) as client:
        outcomes = list(client.classify_many(pictures, at_once=4))
        logs = "".join(log.read_text() for log in tmp_path.rglob("*.log"))

    assert [outcome.result.best.label for outcome in outcomes] == ["Egyptian_cat"] * 4
    assert "requests refused" in logs


def test_a_job_is_answered_like_a_request(client):
    """The same labels; another program needs only its ID."""
    photo = fresh("rocket.jpg")
    job = client.submit(photo, top_k=3)
    result = client.job(job.id).result()

    assert result.predictions == client.classify(photo, top_k=3).predictions
    assert re.fullmatch(r"[0-9a-f]{12}", result.digest)
    assert job.state() == "done"
    assert job.cancel() is False


def test_the_same_key_returns_the_same_job(client):
    """A program that is run again after a crash submits nothing twice."""
    photo, key = fresh("rocket.jpg"), os.urandom(8).hex()

    assert client.submit(photo, key=key) == client.submit(photo, key=key) != client.submit(photo)


def test_a_picture_that_turns_out_bad_is_reported_by_its_job(client):
    """It looks like a picture until it is decoded."""
    with pytest.raises(InvalidPicture, match="cut short"):
        client.submit(odd.truncated_jpeg() + os.urandom(8).hex().encode()).result()  # no 0xFF: it may begin a marker


def test_a_job_that_never_existed_raises_no_such_job(client):
    for job_id in ("0" * 32, "nonsense", "../../health"):
        with pytest.raises(NoSuchJob):
            client.job(job_id).result()
