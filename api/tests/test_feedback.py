from __future__ import annotations

import csv
import fcntl
import json
import logging
import multiprocessing
import resource
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from api.core.errors import InvalidParameter
from api.core.sender_rate import SenderRate
from api.feedback.log import MAX_CHARACTERS, FeedbackLog, Report
from api.feedback.reader import StoredReports
from contract.errors import BackendDown, OverShare, StoreFull

if TYPE_CHECKING:
    from pathlib import Path

HEADER = ["time", "image", "prediction", "score", "correct_label", "comment", "model", "digest"]


@pytest.fixture
def log(tmp_path: Path) -> FeedbackLog:
    return FeedbackLog(tmp_path / "feedback", most_bytes=1_000_000, reserve_bytes=0)


def rows(log: FeedbackLog) -> list[list[str]]:
    with log.path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, strict=True))


def test_a_report_becomes_one_row_under_the_header(log):
    """A person who opens the file must find every column named, and the time with its zone."""
    log.append(Report("ab" * 32, "Egyptian_cat", "0.6312", "tabby", "look at the coat", "resnet50", "cd" * 32))

    header, (time, *row) = rows(log)
    assert header == HEADER
    assert datetime.now(UTC) - datetime.fromisoformat(time) < timedelta(minutes=1)
    assert row == ["ab" * 32, "Egyptian_cat", "0.6312", "tabby", "look at the coat", "resnet50", "cd" * 32]


@pytest.mark.parametrize(
    "comment",
    [
        "a tabby, not an Egyptian cat",
        'the "cat" is a "dog"',
        "first line\nsecond line\n",
        "first line\r\nsecond line",
        "lone\rcarriage return",
        '"',
        ",,,",
        "naïve 猫 🐈",
        " leading space",
        "x\n",
    ],
)
def test_a_csv_reader_returns_the_text_unchanged(log, comment):
    """People write commas, quotes and paragraphs; a report must not break the rows around it."""
    log.append(Report(comment=comment))
    log.append(Report(comment="the next one"))

    assert [row[5] for row in rows(log)] == ["comment", comment, "the next one"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001
@pytest.mark.parametrize("field", ["image", "prediction", "score", "correct_label", "comment", "model", "digest"])
def test_text_that_a_spreadsheet_would_run_gets_a_leading_quote(log, field, start):
    """The file is opened in spreadsheets by the people who run the service: =HYPERLINK(...) must stay text."""
    text = f"{start}cmd|calc"
    log.append(Report(**{field: text}))

    assert rows(log)[1][HEADER.index(field)] == f"'{text}"


def test_a_formula_inside_the_text_is_left_alone(log):
    log.append(Report(comment="1 = 1, a+b, me@home"))

    assert rows(log)[1][5] == "1 = 1, a+b, me@home"


def test_a_report_may_come_as_one_json_object_or_as_form_fields():
    """The page's script sends JSON, the plain form sends fields; both name the picture ``filename``."""
    fields = {
        "filename": "ab",
        "prediction": "cat",
        "correct_label": "dog",
        "comment": "no",
        "model": "m",
        "digest": "d",
    }
    expected = Report("ab", "cat", "0.5", "dog", "no", "m", "d")

    assert Report.from_form({"report": json.dumps(fields | {"score": 0.5})}) == expected
    assert Report.from_form(fields | {"score": "0.5"}) == expected


@pytest.mark.parametrize("report", ["{'filename': 'a', 'score': 1. }", "it is a dog", "[1, 2]", "12", "[" * 1500])
def test_a_report_that_is_not_a_json_object_is_kept_as_the_comment(report):
    """A person took the trouble to send it; a strict parser would throw their words away."""
    assert Report.from_form({"report": report}) == Report(comment=report)


@pytest.mark.parametrize(
    "form", [{}, {"report": ""}, {"report": "{}"}, {"comment": " \n"}, {"report": '{"score": null}'}]
)
def test_a_report_without_any_text_is_empty(form):
    assert Report.from_form(form).empty


@pytest.mark.parametrize(("field", "limit"), MAX_CHARACTERS.items())
def test_a_field_has_a_longest_text(field, limit):
    """One sender must not be able to fill the disk with a few requests."""
    Report.from_form({field: "x" * limit})

    with pytest.raises(InvalidParameter, match=f"{limit + 1} characters long; at most {limit} are kept"):
        Report.from_form({field: "x" * (limit + 1)})


@pytest.mark.parametrize("value", [[1], {"a": 1}])
def test_a_field_that_is_neither_text_nor_number_is_refused(value):
    with pytest.raises(InvalidParameter, match="correct label must be text or a number"):
        Report.from_form({"report": json.dumps({"correct_label": value})})


def test_control_characters_and_broken_unicode_are_shown_as_replaced(log):
    """NUL cuts the text short in many CSV readers, and half a surrogate pair can't be written at all."""
    log.append(Report.from_form({"report": r'{"comment": "a\u0000b\u001bc\ud800d"}'}))

    assert rows(log)[1][5] == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c?d"


def append_many(folder: Path, writer: int, count: int) -> None:
    log = FeedbackLog(folder, most_bytes=1_000_000, reserve_bytes=0)
    for number in range(count):
        log.append(Report(image=f"{writer}-{number}", comment="several\nlines, " * 20))


def test_processes_that_append_at_once_neither_lose_nor_mix_rows(tmp_path):
    """The API runs in several processes and containers over one volume; the header may appear only once."""
    writers = [
        multiprocessing.get_context("spawn").Process(target=append_many, args=(tmp_path, n, 50)) for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    header, *found = rows(FeedbackLog(tmp_path, most_bytes=1_000_000, reserve_bytes=0))
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert header == HEADER
    assert sorted(row[1] for row in found) == sorted(f"{n}-{number}" for n in range(4) for number in range(50))
    assert {row[5] for row in found} == {"several\nlines, " * 20}


def append_with_room_for(folder: Path, more_bytes: int) -> None:
    logging.disable()  # where standard error is a file, the words about it would meet the same limit
    log = FeedbackLog(folder, most_bytes=1_000_000, reserve_bytes=0)
    limit = log.path.stat().st_size + more_bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # the kernel then writes a part, or nothing
    with pytest.raises(BackendDown):
        log.append(Report(comment="x" * 1000))


@pytest.mark.parametrize("more_bytes", [0, 1, 500])
def test_a_full_disk_is_a_clear_error_and_never_half_a_row(tmp_path, more_bytes):
    """Half a row would swallow the next report; the sender must know that this one was not kept."""
    log = FeedbackLog(tmp_path, most_bytes=1_000_000, reserve_bytes=0)
    log.append(Report(comment="before"))
    whole = log.path.read_bytes()
    writer = multiprocessing.get_context("spawn").Process(target=append_with_room_for, args=(tmp_path, more_bytes))
    writer.start()
    writer.join(60)

    assert writer.exitcode == 0
    assert log.path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "feedback").write_text("a file where the folder should be")

    with pytest.raises(BackendDown, match="could not be stored"):
        FeedbackLog(tmp_path / "feedback", most_bytes=1_000_000, reserve_bytes=0).append(Report(comment="lost"))


def test_the_wait_for_a_lock_that_is_never_released_is_bounded(log, monkeypatch):
    """A stuck process must not hang the requests of all the others."""
    monkeypatch.setattr("api.feedback.log.LOCK_WAIT_S", 0.05)
    log.append(Report(comment="first"))
    with log.path.open() as stuck:
        fcntl.flock(stuck, fcntl.LOCK_EX)
        with pytest.raises(BackendDown):
            log.append(Report(comment="second"))

    assert [row[5] for row in rows(log)] == ["comment", "first"]


def test_a_row_starts_on_its_own_line_after_an_editor_dropped_the_last_line_end(log):
    """Some editors save without it; the next report would be glued to the last."""
    log.append(Report(comment="first"))
    log.path.write_bytes(log.path.read_bytes().rstrip())
    log.append(Report(comment="second"))

    assert [row[5] for row in rows(log)] == ["comment", "first", "second"]


# Bounds


def test_the_file_grows_no_further_than_it_may(tmp_path):
    log = FeedbackLog(tmp_path, most_bytes=1000, reserve_bytes=0)
    report = Report(comment="x" * 400)
    log.append(report)
    log.append(report)
    with pytest.raises(StoreFull):
        log.append(report)

    assert log.path.stat().st_size <= 1000


def test_the_reserve_of_the_disk_is_not_touched(tmp_path):
    with pytest.raises(StoreFull):
        FeedbackLog(tmp_path, most_bytes=10**9, reserve_bytes=10**18).append(Report(comment="x"))


def test_a_sender_has_so_many_reports_an_hour_and_the_next_sender_as_many():
    now = 0.0
    rate = SenderRate(2, 3600, "too many reports", clock=lambda: now)
    for sender in ("192.0.2.1", "192.0.2.2"):
        rate.count(sender)
        rate.count(sender)
    now = 3500.5
    with pytest.raises(OverShare, match="too many reports") as refused:
        rate.count("192.0.2.1")
    assert refused.value.retry_after_s == 3600 + 3600 / 8 - 3500

    now = 3600.0 + 3600 / 8
    rate.count("192.0.2.1")


def test_names_of_senders_take_bounded_memory(monkeypatch):
    monkeypatch.setattr("api.core.sender_rate.MOST_SENDERS", 3)
    rate = SenderRate(2, 3600, "too many reports")
    for number in range(5):
        rate.count(f"192.0.2.{number}")

    with pytest.raises(OverShare):
        rate.count("192.0.2.9")
    rate.count("192.0.2.0")


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''=1+1", "'quoted'", "-", "plain", ""])
def test_what_was_written_is_read_as_it_was_written(log, text):
    """The quote that keeps a spreadsheet from running it is the file's, not the sender's."""
    log.append(Report(comment=text, image="a"))
    (stored,) = StoredReports.at(log.path).newest_first()

    assert stored.comment == text
