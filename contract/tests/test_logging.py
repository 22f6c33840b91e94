"""A process writes only so much of a log in a second, and each message in a line."""

from __future__ import annotations

import json
import logging
import sys

from contract.logging import JsonLine, OneLine, RateLimit


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("name", logging.INFO, "file", 1, "%s", (text,), None)


def test_messages_over_the_rate_are_left_out_and_counted_in_the_next_that_passes():
    now_s = 7.0
    limit = RateLimit(2, clock=lambda: now_s)

    assert [limit.filter(record(text)) for text in "abcde"] == [True, True, False, False, False]

    now_s = 8.0
    first, second = record("f"), record("g")
    assert limit.filter(first) and limit.filter(second)  # noqa: PT018
    assert (first.getMessage(), second.getMessage()) == ("(3 messages left out) f", "g")


def test_a_line_break_of_a_senders_begins_no_line():
    forged = record("GET /\n2026-01-01 INFO forged\r\x1b[31m\x85\u2028caf\xe9")

    assert OneLine("%(levelname)s %(message)s").format(forged) == (
        r"INFO GET /\n2026-01-01 INFO forged\r\x1b[31m\x85\u2028" "caf\xe9"
    )


def test_a_message_as_json_is_one_line_with_its_values_and_its_traceback():
    try:
        int("of\nits own")
    except ValueError:
        seen = sys.exc_info()
    message = logging.LogRecord(
        "name", logging.ERROR, "file", 1, "%(route)s\n %(status)d", ({"route": "/", "status": 5},), seen
    )
    line = JsonLine().format(message)
    read = json.loads(line)

    assert "\n" not in line
    assert (read["message"], read["route"], read["status"], read["level"]) == ("/\n 5", "/", 5, "ERROR")
    assert "ValueError: invalid literal" in read["traceback"]


def test_a_messages_values_never_take_the_place_of_its_own_fields():
    message = logging.LogRecord("name", logging.ERROR, "file", 1, "%(level)s", ({"level": "fine", "n": 1},), None)
    read = json.loads(JsonLine().format(message))

    assert (read["level"], read["message"], read["n"]) == ("ERROR", "fine", 1)
