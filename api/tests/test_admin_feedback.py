from __future__ import annotations

import base64
import csv
import fcntl
import hashlib
import io
import os
import re
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from PIL import Image
from pydantic import SecretStr

from api.app import create_app
from api.feedback import reader as reports_module
from api.feedback.log import FeedbackLog, Report
from api.feedback.pictures import ReportedPictures
from api.feedback.reader import BLOCK_BYTES, LONGEST_ROW_BYTES, StoredReports
from api.feedback.training_set import MANIFEST, NO_LABEL, NO_PICTURE, OUTVOTED, folder_name
from api.services import Services
from api.settings import Settings
from api.views.admin import PAGE_REPORTS
from contract.image_store import ImageStore
from contract.store_room import SHARDS

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from api.core.labels import LabelLookup
    from contract.model_version import WantedModel

KEY = "correct-horse=battery"
BEARER = {"Authorization": f"Bearer {KEY}"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
ROUTES = [
    "/admin/feedback",
    "/admin/feedback.csv",
    "/admin/feedback.zip",
    "/admin/feedback?page=0",
    f"/admin/feedback/pictures/{'a' * 64}",
]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        upload_dir=tmp_path / "uploads",
        copies_dir=tmp_path / "copies",
        feedback_dir=tmp_path / "feedback",
        admin_api_key=SecretStr(KEY),
    )


@pytest.fixture
def store(settings: Settings) -> ImageStore:
    return ImageStore(Path(settings.image_store))


@pytest.fixture
def log(settings: Settings) -> FeedbackLog:
    return FeedbackLog(settings.feedback_dir, most_bytes=1_000_000, reserve_bytes=0)


@pytest.fixture
def reported(settings: Settings, store: ImageStore) -> ReportedPictures:
    return ReportedPictures(settings.feedback_dir, store, most_bytes=1_000_000, reserve_bytes=0)


class NoLabels:
    """Reports are stored as they were typed: no worker has published its labels."""

    def of_or_none(self, _model: WantedModel | None = None) -> None:
        return None


def make_app(settings: Settings, store: ImageStore, log: FeedbackLog, reported: ReportedPictures) -> Flask:
    labels = cast("LabelLookup", NoLabels())
    services = Services.connect(settings)
    return create_app(replace(services, store=store, feedback=log, reported=reported, labels=labels))


@pytest.fixture
def stranger(settings: Settings, store: ImageStore, log: FeedbackLog, reported: ReportedPictures) -> FlaskClient:
    """Sends no key."""
    return make_app(settings, store, log, reported).test_client()


@pytest.fixture
def closed(tmp_path: Path, store: ImageStore, log: FeedbackLog, reported: ReportedPictures) -> FlaskClient:
    """The service without an admin key."""
    return make_app(Settings(feedback_dir=tmp_path), store, log, reported).test_client()


@pytest.fixture
def operator(stranger: FlaskClient) -> FlaskClient:
    """Sends the key with every request."""
    client = stranger.application.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = BEARER["Authorization"]
    return client


def picture(colour: str = "teal", kind: str = "PNG") -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(encoded, kind)
    return encoded.getvalue()


def retention_passes(store: ImageStore) -> None:
    for shard in range(SHARDS):
        names = [name for _, name in store.pictures(shard)]
        store.remove(names, idle_s=-60, held=lambda _: set())


def shown(page: str) -> list[str]:
    """The predictions on a page, from top to bottom."""
    return re.findall(r'class="entry-title">([^<]*?) ?(?:<span|</h3>)', page)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def unzipped(data: bytes) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    """The pictures of a training set by their place in it, and the rows of reports.csv."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        files = {info.filename: archive.read(info) for info in archive.infolist()}
    return files, table(files.pop(MANIFEST).decode())


# Access


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("headers", [{}, BEARER])
def test_without_a_key_set_all_are_refused_and_the_answer_says_what_to_do(closed, route, headers):
    """An operator who forgets the setting must not show strangers' reports and photos to the public."""
    program = closed.get(route, headers=headers)
    person = closed.get(route, headers=headers | BROWSER)

    assert program.status_code == person.status_code == 403
    assert program.get_json()["detail"] == "set ADMIN_API_KEY, or make a key with the scope admin, to open this"
    assert program.content_type == "application/problem+json"
    assert "set ADMIN_API_KEY, or make a key with the scope admin, to open this" in person.text
    assert person.mimetype == "text/html"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Digest {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer \xe9"},
        basic(KEY, ""),
        basic("admin", KEY.upper()),
    ],
    ids=repr,
)
def test_a_wrong_key_is_asked_for_again(stranger, headers):
    """401 with a challenge: a browser then asks its user for a password, a program knows what to send."""
    response = stranger.get("/admin/feedback", headers=headers)

    assert response.status_code == 401
    assert response.headers.getlist("WWW-Authenticate") == [
        'Bearer realm="classifier"',
        'Basic realm="classifier", charset="UTF-8"',
    ]
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert KEY not in response.text


@pytest.mark.parametrize(
    "headers", [BEARER, {"Authorization": f"bearer  {KEY}"}, basic("", KEY), basic("anybody", KEY)], ids=repr
)
def test_the_key_opens_as_a_bearer_token_and_as_a_browsers_password(stranger, headers):
    assert stranger.get("/admin/feedback", headers=headers).status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_under_admin_stays_in_a_cache(operator, route):
    """A shared computer or proxy must not keep strangers' reports."""
    assert operator.get(route).headers["Cache-Control"] == "no-store"


# The page


def test_the_newest_report_comes_first_with_all_its_fields(operator, log, store):
    name = store.put(picture())
    log.append(Report(image=name, prediction="old_news"))
    log.append(Report(name, "Egyptian_cat", "0.6312", "tiger_cat", "see\nthe coat", "resnet50", "cd" * 32))
    page = operator.get("/admin/feedback").text

    assert shown(page) == ["Egyptian cat", "old news"]
    entry = page.partition('class="entry"')[2].partition("</li>")[0]
    assert "63.1%" in entry
    assert "Correct: <strong>tiger cat</strong>" in entry
    assert "see\nthe coat" in entry
    assert re.search(r'<time datetime="20\d\d-[^"]+">20\d\d-\d\d-\d\d \d\d:\d\d UTC<', entry)
    assert "resnet50 <code>cdcdcdcdcdcd</code>" in entry
    assert re.search(f'<img src="/display/{name}\\?expires=[^"]+" alt="Picture called Egyptian cat, full size"', entry)


def test_an_empty_log_is_not_an_error(operator):
    assert "No report yet" in operator.get("/admin/feedback").text
    assert (
        operator.get("/admin/feedback.csv").text == "time,image,prediction,score,correct_label,comment,model,digest\r\n"
    )
    assert unzipped(operator.get("/admin/feedback.zip").data) == ({}, [])


def test_a_strangers_text_stays_text(operator, log):
    """The operator's browser holds the key: markup in a report would run with it."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    log.append(Report(attack, attack, attack[:32], attack, attack, attack, attack))
    response = operator.get("/admin/feedback", query_string={"label": attack})

    assert "&lt;script&gt;" in response.text
    assert "<script>" not in response.text
    assert "<img src=x" not in response.text
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]
    assert not re.search(r'<style|\s(style|on\w+)="', response.text)


@pytest.mark.parametrize(
    "image", ["", "a" * 64, "A" * 64, "../../etc/passwd", "/etc/passwd", "a" * 64 + "/..", "http://elsewhere.test/x"]
)
def test_a_report_without_a_stored_picture_shows_a_placeholder(operator, log, image):
    log.append(Report(image=image, prediction="cat"))
    page = operator.get("/admin/feedback").text

    assert '<img class="entry-no-picture" src="/static/no-picture.svg" alt="No picture stored">' in page
    assert "/display/" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "dcba"),
        ({"label": "CAT"}, "ba"),
        ({"label": "egyptian cat"}, "a"),
        ({"label": "Egyptian_cat"}, "a"),
        ({"label": "lynx"}, "d"),
        ({"label": "nothing such"}, ""),
        ({"model": "resnet"}, "ca"),
        ({"model": "EFFICIENT"}, "b"),
        ({"model": "12ab"}, "d"),
        ({"corrected": "1"}, "da"),
        ({"corrected": "0"}, "dcba"),
        ({"corrected": "1", "label": "cat"}, "a"),
        ({"from": "2026-03-02"}, "dc"),
        ({"to": "2026-03-01"}, "ba"),
        ({"from": "2026-03-01", "to": "2026-03-01"}, "b"),
        ({"label": "", "model": " ", "from": "", "to": "", "corrected": ""}, "dcba"),
    ],
    ids=str,
)
def test_filters_narrow_page_table_and_pictures_alike(operator, log, query, found):
    """The page and the downloads show the same reports."""
    rows = [
        "2026-02-28T23:59:59.999+00:00,,Egyptian_cat,,tabby,a,resnet50,",
        "2026-03-01T12:00:00.000+00:00,,wild cat,,,b,efficientnet-lite0,",
        "2026-03-02T00:00:00.000+00:00,,dog,,,c,resnet50,",
        "2026-03-05T12:00:00.000+00:00,,dog,,Lynx,d,vit,12ab34",
    ]
    log.path.parent.mkdir()
    log.path.write_text("\r\n".join([",".join(log.COLUMNS), *rows, ""]), newline="")
    page = operator.get("/admin/feedback", query_string=query).text
    csv_rows = table(operator.get("/admin/feedback.csv", query_string=query).text)
    _, manifest = unzipped(operator.get("/admin/feedback.zip", query_string=query).data)

    assert "".join(re.findall(r'class="entry-comment">(\w)<', page)) == found
    assert "".join(row["comment"] for row in csv_rows) == found
    assert "".join(row["comment"] for row in manifest) == found


@pytest.mark.parametrize("query", ["from=yesterday", "to=2026-02-30", "page=0", "page=-1", "page=x", "page=99999999"])
def test_an_invalid_query_is_refused_with_the_reason(operator, query):
    program = operator.get(f"/admin/feedback?{query}")
    person = operator.get(f"/admin/feedback?{query}", headers=BROWSER)

    assert program.status_code == person.status_code == 400
    assert program.content_type == "application/problem+json"
    assert re.search(r'role="alert">(&#39;|page )', person.text)


def test_pages_follow_each_other_without_a_gap_and_keep_the_filter(operator, log):
    for number in range(2 * PAGE_REPORTS + 1):
        log.append(Report(prediction=f"cat_{number}"))
        log.append(Report(prediction=f"dog_{number}"))
    seen, address = [], "/admin/feedback?label=cat"
    while address:
        page = operator.get(address).text
        seen += shown(page)
        older = re.search(r'<a href="([^"]*)" rel="next">', page)
        address = older[1].replace("&amp;", "&") if older else ""

    assert seen == [f"cat {number}" for number in reversed(range(2 * PAGE_REPORTS + 1))]
    assert 'rel="prev"' in page
    assert "Page 3" in page


# Reading a long file


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 reports, each with a comment of several lines."""
    path = tmp_path_factory.mktemp("long") / "feedback.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FeedbackLog.COLUMNS)
        for number in range(100_000):
            writer.writerow(
                ["2026-01-01T00:00:00.000+00:00", "a" * 64, str(number), "0.5", "", 'two\n"lines"', "m", "d" * 64]
            )
    return path


def test_the_newest_of_many_reports_are_read_without_the_rest(long_file, monkeypatch):
    """A page must not cost more the longer the service has run: a full read delays all requests."""
    read: list[int] = []
    pread = os.pread

    def counting(file: int, size: int, start: int) -> bytes:
        read.append(size)
        return pread(file, size, start)

    monkeypatch.setattr(os, "pread", counting)
    newest = StoredReports.at(long_file).newest_first()

    assert [next(newest).prediction for _ in range(PAGE_REPORTS)] == [str(99_999 - n) for n in range(PAGE_REPORTS)]
    assert sum(read) <= 2 * BLOCK_BYTES < long_file.stat().st_size / 50


@pytest.mark.long
def test_all_of_many_reports_are_read_a_part_at_a_time(long_file):
    """The file may be larger than the container's memory."""
    tracemalloc.start()
    numbers = (int(report.prediction) for report in StoredReports.at(long_file).newest_first())
    in_order = all(number == 99_999 - place for place, number in enumerate(numbers))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert in_order
    assert next(numbers, None) is None
    assert peak_bytes < 20 * BLOCK_BYTES < long_file.stat().st_size / 10


@pytest.mark.parametrize("block_bytes", [1, 2, 7, 64, 1000])
def test_rows_are_whole_wherever_the_blocks_of_the_file_end(log, monkeypatch, block_bytes):
    """Read backwards, a line end is between two rows or within a comment: only the quotes decide."""
    comments = ["plain", "a\nb", 'say "x"\n', 'x\n\n"\n', "x\r\ny", '","\n2026-01-01,', "猫\n🐈", "lone\rreturn", ""]
    monkeypatch.setattr(reports_module, "BLOCK_BYTES", block_bytes)
    for comment in comments:
        log.append(Report(comment=comment, digest="d"))

    assert [report.comment for report in StoredReports.at(log.path).newest_first()] == comments[::-1]


def test_a_file_that_a_spreadsheet_has_saved_can_be_read(log):
    """They write a byte order mark, other line ends, and none at the end."""
    log.append(Report(prediction="cat", comment="one,\nand two"))
    log.append(Report(prediction="dog"))
    log.path.write_bytes(b"\xef\xbb\xbf" + log.path.read_bytes().replace(b"\r\n", b"\n").rstrip())

    assert [report.prediction for report in StoredReports.at(log.path).newest_first()] == ["dog", "cat"]


def test_a_damaged_row_costs_at_most_itself_and_its_neighbours(log):
    """An unpaired quote, left by an editor, would make one endless row of everything before it."""
    for number in range(1000):
        log.append(Report(prediction=str(number), comment="x" * 200))
    with log.path.open("ab") as file:
        file.write(b'2026-01-01,,"broken\r\n')
    log.append(Report(prediction="newest"))
    found = [report.prediction for report in StoredReports.at(log.path).newest_first()]

    assert found[0] == "newest"
    assert found[-1] == "0"
    assert len(found) > 1000 - LONGEST_ROW_BYTES / 200


def test_reports_appended_while_the_file_is_read_are_not_half_seen(log):
    log.append(Report(prediction="before"))
    reports = StoredReports.at(log.path)
    log.append(Report(prediction="after"))

    assert [report.prediction for report in reports.newest_first()] == ["before"]


def test_reports_that_cannot_be_read_are_an_error(operator, log):
    log.path.mkdir(parents=True)  # what no permission can stop when the tests run as root

    for route in ROUTES[:3]:
        response = operator.get(route)
        assert response.status_code == 503
        assert response.content_type == "application/problem+json"


def test_a_writer_that_never_ends_does_not_hang_the_reader(operator, log, monkeypatch):
    """Half a row must not be read, and no request may wait forever for the other half."""
    monkeypatch.setattr("api.feedback.log.LOCK_WAIT_S", 0.05)
    log.append(Report(comment="whole"))
    with log.path.open() as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        held = operator.get("/admin/feedback.csv")

    assert held.status_code == 503
    assert operator.get("/admin/feedback.csv").status_code == 200


# The table


def test_the_table_is_the_stored_file_newest_first_and_safe_for_spreadsheets(operator, log):
    log.append(Report(comment='=HYPERLINK("http://elsewhere.test")'))
    log.append(Report(prediction="+cat", comment='two\nlines, "quoted"'))
    with log.path.open("ab") as file:  # put there by hand, past the log
        file.write(b"2026-01-01,,@SUM(1),,,,,\r\n")
    response = operator.get("/admin/feedback.csv")
    rows = table(response.text)

    assert response.content_type == "text/csv; charset=utf-8"
    assert re.fullmatch(r"attachment; filename=feedback-[\d-]{10}\.csv", response.headers["Content-Disposition"])
    assert [row["prediction"] for row in rows] == ["'@SUM(1)", "'+cat", ""]
    assert [row["comment"] for row in rows] == ["", 'two\nlines, "quoted"', '\'=HYPERLINK("http://elsewhere.test")']


@pytest.mark.long
def test_a_long_table_is_sent_in_parts(stranger, long_file, log):
    """It is not collected in memory before it is sent."""
    log.path.parent.mkdir()
    log.path.symlink_to(long_file)
    response = stranger.get("/admin/feedback.csv", headers=BEARER, buffered=False)
    parts = [len(part) for part in response.response]

    assert len(parts) > 50
    assert max(parts) < 2 * BLOCK_BYTES
    assert "Content-Length" not in response.headers


# The training set


def test_pictures_are_in_a_folder_for_each_correct_label(operator, log, store):
    """The layout that torchvision's ImageFolder reads, with the labels as the model writes them."""
    cat, dog = store.put(picture("grey", "JPEG")), store.put(picture("brown"))
    log.append(Report(image=cat, prediction="dog", correct_label="Egyptian cat"))
    log.append(Report(image=dog, prediction="cat", correct_label="pug"))
    response = operator.get("/admin/feedback.zip")
    files, manifest = unzipped(response.data)

    assert response.mimetype == "application/zip"
    assert files == {
        f"Egyptian_cat/{cat}.jpg": picture("grey", "JPEG"),
        f"pug/{dog}.png": picture("brown"),
    }
    assert [(row["correct_label"], row["file"], row["note"]) for row in manifest] == [
        ("pug", f"pug/{dog}.png", ""),
        ("Egyptian cat", f"Egyptian_cat/{cat}.jpg", ""),
    ]


def test_reports_csv_says_what_became_of_every_report(operator, log, store):
    """The person who retrains must be able to see what is missing and why."""
    kept, gone = store.put(picture()), hashlib.sha256(b"gone").hexdigest()
    log.append(Report(image=kept, correct_label="lynx", comment="first thought"))
    log.append(Report(image=kept, correct_label="tiger cat", comment="second thought"))
    log.append(Report(image=kept, correct_label="tiger_cat", comment="agreed"))
    log.append(Report(image=kept, comment="just wrong"))
    log.append(Report(image=gone, correct_label="pug", comment="swept"))
    log.append(Report(image="dog.jpg", correct_label="pug", comment="no such name"))
    files, manifest = unzipped(operator.get("/admin/feedback.zip").data)

    place = f"tiger_cat/{kept}.png"
    assert list(files) == [place]
    assert {row["comment"]: (row["file"], row["note"]) for row in manifest} == {
        "no such name": ("", NO_PICTURE),
        "swept": ("", NO_PICTURE),
        "just wrong": ("", NO_LABEL),
        "agreed": (place, ""),
        "second thought": (place, ""),
        "first thought": ("", OUTVOTED),
    }


HOSTILE = ["../../etc", "/etc/cron.d", "..", ".", "C:\\Windows", "a/../../b", "con", "-rf", "=1+1", "", "\u202egnp.exe"]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("tiger_cat", "tiger_cat"),
        ("tiger cat", "tiger_cat"),
        ("jack-o'-lantern", "jack-o'-lantern"),
        ("'-potter's wheel, old", "potter's_wheel_old"),
        ("St. Bernard", "St_Bernard"),
        ("猫 🐈", "猫"),
        ("नमस्ते", "नमस्ते"),
        ("../../etc", "etc"),
        ("/etc/passwd", "etc_passwd"),
        ("／etc／passwd", "etc_passwd"),  # noqa: RUF001
        ("..", "unnamed"),
        ("reports.csv", "reports_csv"),
        ("a\\..\\b", "a_b"),
        ("nul", "nul_"),
        ("COM1", "COM1_"),
        ("a\nb\x00c", "a_b_c"),
        ("é" * 200, "é" * 60),
        ("x" * 256, "x" * 120),
    ],
)
def test_any_label_makes_a_safe_folder(label, folder):
    """The label is a stranger's text."""
    assert folder_name(label) == folder


def test_hostile_labels_leave_nothing_outside_their_folders(operator, log, store):
    for number, label in enumerate(HOSTILE):
        name = store.put(picture(f"#0000{number:02x}"))
        log.append(Report(image=name, correct_label=label))
    files, _ = unzipped(operator.get("/admin/feedback.zip").data)

    assert len(files) == len(HOSTILE) - 1  # the empty label counts as no label
    assert all(re.fullmatch(r"[A-Za-z0-9_]+/[0-9a-f]{64}\.png", place) for place in files), files


def test_pictures_are_sent_one_at_a_time(stranger, log, store):
    """A training set may be larger than the container's memory."""
    for number in range(50):
        log.append(Report(image=store.put(picture() + os.urandom(100_000)), correct_label=str(number)))
    response = stranger.get("/admin/feedback.zip", headers=BEARER, buffered=False)
    parts = [len(part) for part in response.response]

    assert len(parts) > 50
    assert max(parts) < 110_000


# Reported pictures live on


def test_a_reported_picture_outlives_retention(operator, store):
    """A report is worth most with its picture, and the operator may look at it only a month later."""
    name = store.put(picture())
    operator.post("/feedback", data={"filename": name, "correct_label": "lynx"})
    retention_passes(store)
    address = f"/admin/feedback/pictures/{name}"
    seen = operator.get(address)
    files, _ = unzipped(operator.get("/admin/feedback.zip").data)

    assert operator.get(f"/display/{name}").status_code == 404
    assert f'<img src="{address}"' in operator.get("/admin/feedback").text
    assert seen.data == picture()
    assert seen.content_type == "image/png"
    assert seen.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert list(files) == [f"lynx/{name}.png"]


def test_a_picture_that_nobody_reported_does_not(operator, store):
    name = store.put(picture())
    retention_passes(store)

    assert operator.get(f"/admin/feedback/pictures/{name}").status_code == 404


@pytest.mark.parametrize("name", ["a" * 64, "..", "feedback.csv", "%2e%2e%2ffeedback.csv", "a" * 64 + "%00"])
def test_the_name_of_no_kept_picture_is_not_found(operator, log, name):
    log.append(Report(comment="there is a feedback.csv"))

    assert operator.get(f"/admin/feedback/pictures/{name}").status_code == 404


@pytest.mark.parametrize("image", ["", "cat.jpg", "../../etc/passwd", "/etc/passwd", "a" * 64, "A" * 64])
def test_a_report_of_no_stored_picture_is_stored_all_the_same(operator, settings, image):
    operator.post("/feedback", data={"filename": image, "comment": "wrong"})

    assert [row["image"] for row in table(operator.get("/admin/feedback.csv").text)] == [image]
    assert [path.name for path in settings.feedback_dir.iterdir()] == ["feedback.csv"]


def test_kept_pictures_take_no_more_room_than_they_may(store, settings, log):
    """Anybody can report: without a bound a stranger could fill the disk permanently."""
    bounded = ReportedPictures(settings.feedback_dir, store, most_bytes=10_000, reserve_bytes=0)
    names = [store.put(picture() + os.urandom(900)) for _ in range(4)]
    client = make_app(settings, store, log, bounded).test_client()
    for name in names:
        assert client.post("/feedback", data={"filename": name, "comment": "x"}).status_code == 200

    assert [name in bounded for name in names] == [True, True, False, False]
    assert len(list(StoredReports.at(log.path).newest_first())) == 4
    assert [
        name in ReportedPictures(settings.feedback_dir, store, most_bytes=0, reserve_bytes=0) for name in names
    ] == [True, True, False, False]


def test_what_other_processes_have_kept_counts_too(store, settings):
    names = [store.put(picture() + os.urandom(900)) for _ in range(4)]
    here, there = (ReportedPictures(settings.feedback_dir, store, most_bytes=10_000, reserve_bytes=0) for _ in range(2))
    for process, name in zip([here, there, here, there], names, strict=True):
        process.keep(name)

    assert [name in here for name in names] == [True, True, False, False]


def test_a_picture_that_cannot_be_kept_does_not_lose_the_report(operator, store, settings):
    settings.feedback_dir.mkdir()
    (settings.feedback_dir / "pictures").write_text("a file where the folder should be")
    answer = operator.post("/feedback", data={"filename": store.put(picture()), "comment": "wrong"})

    assert answer.status_code == 200
    assert [row["comment"] for row in table(operator.get("/admin/feedback.csv").text)] == ["wrong"]


def test_an_address_that_has_sent_too_many_reports_is_told_so(settings, store, log, reported):
    client = make_app(settings.model_copy(update={"feedback_per_hour": 1}), store, log, reported).test_client()
    taken = client.post("/feedback", data={"comment": "wrong"}, headers={"Accept": "application/json"})
    refused = client.post("/feedback", data={"comment": "again"}, headers={"Accept": "application/json"})

    assert (taken.status_code, refused.status_code) == (200, 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 3600 * 9 / 8
    assert "kept as typed" in client.post("/feedback", data={"comment": "kept as typed"}).text
    assert len(list(StoredReports.at(log.path).newest_first())) == 1
