"""The parameters that may be sent with a picture, in the form or in the query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from api.core.errors import InvalidParameter
from api.http.parameters import Wanted, labels_of
from api.settings import Settings
from contract.messages import Classification, Label, Timings

if TYPE_CHECKING:
    from collections.abc import Mapping

FOUND = Classification(
    "resnet50",
    "d" * 64,
    tuple(Label(name, score) for name, score in (("lynx", 0.70004), ("tabby", 0.19996), ("puma", 0.1))),
    Timings(0.0, 0.0),
)


def wanted(form: Mapping[str, str] | None = None, query: Mapping[str, str] | None = None) -> Wanted:
    environ = EnvironBuilder(method="POST", data=form, query_string=query).get_environ()
    return Wanted.from_request(Request(environ), Settings(top_k=2, top_k_max=10))


def labels(**form: str) -> list[str]:
    return [entry.label for entry in labels_of(FOUND, wanted(form))]


def test_a_request_without_parameters_gets_top_k_labels_of_any_score():
    assert wanted() == Wanted(None, top_k=2, min_score=0.0, strict=True, top_k_sent=False, min_score_sent=False)
    assert labels() == ["lynx", "tabby"]


@pytest.mark.parametrize("where", ["form", "query"])
def test_the_parameters_are_read_from_the_form_or_the_query(where):
    assert wanted(**{where: {"top_k": "10", "min_score": "0.25", "strict": "false"}}) == Wanted(
        None, 10, 0.25, strict=False, top_k_sent=True, min_score_sent=True
    )


def test_top_k_counts_and_min_score_filters_what_is_left():
    assert labels(top_k="1") == ["lynx"]
    assert labels(top_k="3", min_score="0.15") == ["lynx", "tabby"]
    assert labels(min_score="0.9") == []


def test_no_label_is_shown_with_a_score_below_the_one_asked_for():
    """What is compared is what is shown: 0.19996 is shown as 0.2."""
    assert labels(min_score="0.2") == ["lynx", "tabby"]
    assert labels(min_score="0.70002") == []
    assert [entry.score for entry in labels_of(FOUND, wanted({"top_k": "3"}))] == [0.7, 0.2, 0.1]


@pytest.mark.parametrize("value", ["0", "1", "0.5", ".5", "1.", "1e-05", "0.10000000000000001"])
def test_a_min_score_is_read_as_programs_write_it(value):
    assert wanted({"min_score": value}).min_score == float(value)


@pytest.mark.parametrize("top_k", ["", "0", "-1", "11", "1.5", "many", "\u0661", "9" * 5000])
def test_a_top_k_out_of_range_is_refused(top_k):
    with pytest.raises(InvalidParameter, match="top_k must be a whole number from 1 to 10"):
        wanted({"top_k": top_k})


@pytest.mark.parametrize(
    "value", ["", ".", "-0.1", "1.01", "nan", "inf", "1e999", "0,5", " 0.5", "0_1", "half", "\u0661", "0" * 5000]
)
def test_a_min_score_out_of_range_is_refused(value):
    with pytest.raises(InvalidParameter, match="min_score must be a number from 0 to 1"):
        wanted({"min_score": value})


@pytest.mark.parametrize(("value", "strict"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_strict_is_read_as_programs_write_it(value, strict):
    """Python's own ``str(False)`` among them."""
    assert wanted({"strict": value}).strict is strict


@pytest.mark.parametrize("value", ["", "0", "1", "no", "off", "none", " false", "false\n", "fal\u017fe"])
def test_a_strict_that_is_neither_true_nor_false_is_refused(value):
    """Which of the two somebody means is not guessed: a damaged picture's answer is at stake."""
    with pytest.raises(InvalidParameter, match="strict must be true or false"):
        wanted({"strict": value})


def test_all_values_of_a_parameter_must_be_valid_and_the_query_comes_first():
    assert wanted({"strict": "true"}, {"strict": "false"}).strict is False
    with pytest.raises(InvalidParameter, match="strict"):
        wanted({"strict": "maybe"}, {"strict": "false"})


def test_strict_alone_asks_for_no_list_of_labels():
    """``/predict`` lists labels only to senders who say which."""
    assert not wanted({"strict": "false"}).labels_sent
    assert wanted({"min_score": "0.5"}).labels_sent
