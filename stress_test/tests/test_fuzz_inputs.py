"""What is sent, and what counts as a fault, without a service."""

from __future__ import annotations

import itertools
import json
import re

import pytest

from api.core.errors import InvalidUpload
from api.http.open_inference import read_request
from api.http.open_inference_outputs import LABEL_OUTPUTS
from api.openapi.document import load
from api.settings import Settings
from stress_test.fuzz import pictures, requests
from stress_test.fuzz.exchange import CLOSED, GARBLED, NO_ANSWER, Reply
from stress_test.fuzz.shape import Shape
from stress_test.fuzz.verdict import fault
from tests.support.conformance import Conformance

SHAPE = Shape("a kind", b"", "POST", "/infer")
PROBLEM = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no"}


@pytest.fixture(scope="module")
def some_requests():
    return requests.shapes(1, 300)


@pytest.fixture(scope="module")
def conformance():
    return Conformance(load(Settings()))


def test_the_same_seed_makes_the_same_inputs():
    """Otherwise a fault could not be looked at again."""
    first, again, other = (list(itertools.islice(pictures.shapes(seed, 30), 30)) for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert requests.shapes(1, 50) == requests.shapes(1, 50)


def test_every_kind_of_picture_goes_to_every_route():
    """Kinds and routes take turns: they must not meet the same one always."""
    pairs = {(number % pictures.TURN, number % len(pictures.ROUTES)) for number in range(1000)}

    assert len(pairs) == pictures.TURN * len(pictures.ROUTES)


def test_requests_are_of_every_kind(some_requests):
    kinds = {shape.kind for shape in some_requests}

    assert kinds == {
        *("multipart", "length", "chunks", "headers", "request line", "method", "JSON", "form"),
        *("picture as body", "base64 in JSON", "tensor in JSON", "binary tensor"),
    }


def test_tensors_are_sound_and_odd_by_turns(some_requests):
    """If all were refused at the first look, nothing behind it would be tried."""
    refused: set[str] = set()
    sound: set[str] = set()
    for shape in some_requests:
        head, _, body = shape.raw.partition(b"\r\n\r\n")
        said = re.search(rb"^Inference-Header-Content-Length: ([0-9]+)\r?$", head, re.MULTILINE)
        if shape.kind not in {"tensor in JSON", "binary tensor"}:
            continue
        try:
            read_request(
                body,
                int(said[1]) if said else None,
                lambda _size: None,
                names=LABEL_OUTPUTS,
                most_pictures=16,
                most_classes=100,
            )
        except InvalidUpload as error:
            refused.add(re.sub("[0-9]+", "N", str(error)))
        else:
            sound.add(shape.kind)

    assert sound == {"tensor in JSON", "binary tensor"}
    assert len(refused) > 5


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        pytest.param(Reply(NO_ANSWER, 1), "no answer", id="no answer"),
        pytest.param(Reply(GARBLED, 1), "no HTTP", id="garbled"),
        pytest.param(Reply(500, 1), "status 500", id="500"),
        pytest.param(Reply(502, 1), "status 502", id="502"),
        pytest.param(Reply(400, 1, {}, b"<html>\n  <head>\n    <title>Bad Request</title>"), "gunicorn", id="html"),
        pytest.param(Reply(418, 1, {"Content-Type": "application/problem+json"}), "not as documented", id="418"),
    ],
)
def test_each_fault_is_told(reply, found, conformance):
    assert found in (fault(SHAPE, reply, conformance) or "")


def test_a_documented_error_and_a_closed_connection_are_no_faults(conformance):
    documented = Reply(400, 1, {"Content-Type": "application/problem+json"}, json.dumps(PROBLEM).encode())

    assert fault(SHAPE, documented, conformance) is None
    assert fault(SHAPE, Reply(CLOSED, 1), conformance) is None
