"""Requests of the Open Inference Protocol: tensors that are not what they say, in JSON and behind it."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from stress_test.fuzz.documents import DOCUMENTS
from stress_test.fuzz.framing import PHOTO, framed, request

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from stress_test.fuzz.shape import Shape

MODEL = "/v2/models/resnet50"
INFER_PATHS = (f"{MODEL}/infer", f"{MODEL}/versions/1/infer")
PATHS = (
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    MODEL,
    f"{MODEL}/ready",
    f"{MODEL}/versions/1",
    f"{MODEL}/versions/2/ready",
    "/v2/models/nobody/infer",
    *INFER_PATHS,
)
JSON_BYTES = b"Inference-Header-Content-Length: "
PICTURES = [PHOTO, PHOTO[:5_000], PHOTO[:3], b"", b"text", b"\0" * 40]


def _mostly(usual: Any, *odd: Any) -> SearchStrategy[Any]:
    """Else one of ``odd``, or JSON that means nothing; odd everywhere it would be refused at the first place."""
    return _seldom(usual, st.sampled_from(odd) | DOCUMENTS)


def _seldom(usual: Any, odd: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.sampled_from([True] * 15 + [False]).flatmap(lambda plain: st.just(usual) if plain else odd)


def _document(tensor: Any, **fields: Any) -> bytes:
    return json.dumps({"inputs": [tensor], **fields}).encode()


def _tensor(count: int, **fields: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "BYTES", "shape": [count], **fields}


ORDINARY_BODY = _document(_tensor(1, data=[b64encode(PHOTO).decode()]))


@st.composite
def tensors_in_json(draw: DrawFn) -> Shape:
    """Pictures in base64, odd in its alphabet, its padding, its place, or cut short with what stands around it."""
    pictures = draw(st.lists(st.sampled_from(PICTURES), min_size=1, max_size=3))
    texts = [draw(_base64(picture)) for picture in pictures]
    rows = [[text] for text in texts]
    data = draw(_mostly(texts, rows, texts * 2, texts[1:], texts[0], [texts], [*texts, 7], dict(enumerate(texts))))
    body = draw(_documents(draw(_tensors(len(pictures), {"data": data}))))
    return draw(_sent("tensor in JSON", body, []))


@st.composite
def binary_tensors(draw: DrawFn) -> Shape:
    """Pictures behind the JSON, of which one of the three lengths lies: the element's, the tensor's, or the JSON's."""
    pictures = draw(st.lists(st.sampled_from(PICTURES), min_size=1, max_size=3))
    data = b"".join([draw(_element(picture)) for picture in pictures])
    data = draw(_seldom(data, st.sampled_from([data[:-1], data + b"\0", data[: len(data) // 2], b"", data * 20])))
    size = draw(_mostly(len(data), len(data) + 1, len(data) - 1, -1, 0, 2**31, 2**64, str(len(data)), float(len(data))))
    head = draw(_documents(draw(_tensors(len(pictures), {"parameters": {"binary_data_size": size}}))))
    length = len(head)
    said = draw(_seldom(b"%d" % length, st.sampled_from(_odd_lengths(length, length + len(data)))))
    return draw(_sent("binary tensor", head + data, [] if said is None else [JSON_BYTES + said]))


def _odd_lengths(length: int, whole: int) -> list[bytes | None]:
    numbers = [0, -1, length - 1, length + 1, length // 2, whole, whole + 1, 2**31, 2**64, 10**30]
    twice = b"%d\r\n%s%d" % (length, JSON_BYTES, length + 1)
    return [*(b"%d" % number for number in numbers), b"", b"x", b"\xb2", b"1e2", b"+%d" % length, twice, None]


@st.composite
def _element(draw: DrawFn, picture: bytes) -> bytes:
    size = draw(_seldom(len(picture), st.sampled_from([0, 1, len(picture) + 1, 2**31 - 1, 2**32 - 1])))
    order = draw(_seldom("<", st.just(">")))
    return struct.pack(f"{order}I", size) + picture


@st.composite
def _base64(draw: DrawFn, picture: bytes) -> str:
    text = b64encode(picture).decode()
    cut = draw(st.integers(1, 9))
    odd = [text[cut:], text[:-cut], text + "=" * cut, text[:2000] + "=" + text[2000:], "\n".join(text), " " + text,
           text.replace("/", "_").replace("+", "-"), f"data:image/jpeg;base64,{text}", "data:,", "\ud800", "\0" + text,
           text.rstrip("=") + "\u00e9"]  # fmt: skip
    sent: str = draw(_seldom(text, st.sampled_from(odd)))
    return sent


@st.composite
def _tensors(draw: DrawFn, count: int, fields: dict[str, Any]) -> Any:
    """One that has ``count`` pictures, and seldom says so wrongly."""
    shape = draw(
        _mostly([count], [count, 1], [], [0], [-1], [count + 1], [2**40], [10**400], [float(count)], [True], [count, 3])
    )
    kinds = ("FP32", "UINT8", "INT64", "BOOL", "STRING", "bytes", "", None, ["BYTES"])
    tensor = {
        "name": draw(_mostly("image", "", "\0", None, "\ud800")),
        "datatype": draw(_mostly("BYTES", *kinds)),
        "shape": shape,
        **fields,
    }
    return draw(_mostly(tensor, {**tensor, "data": ["text"]}, {**tensor, "parameters": {"shared_memory_region": "a"}}))


@st.composite
def _documents(draw: DrawFn, tensor: Any) -> bytes:
    wanted = [
        {"name": "probabilities", "parameters": draw(_mostly({"classification": 3}, {"classification": 2**64}))},
        {"name": "labels", "parameters": draw(_mostly({"binary_data": True}, {"binary_data": 1}, None))},
    ]
    document = {
        "inputs": draw(_mostly([tensor], [], [tensor, tensor], tensor, None)),
        "outputs": draw(st.sampled_from([None, wanted]).flatmap(lambda some: _mostly(some, wanted * 2, wanted[:1]))),
        "id": draw(_mostly("42", 42, "\ud800", "x" * 2_000, None)),
        "parameters": draw(_mostly({}, {"binary_data_output": True}, {"binary_data_output": "yes"}, [])),
    }
    written = json.dumps(document).encode()
    cut = draw(st.integers(1, len(written)))
    odd = [written[:cut], written * 2, b"\xff" + written, b"[" * 60_000, b'{"inputs": ' * 1_000, b""]
    sent: bytes = draw(_seldom(written, st.sampled_from(odd)))
    return sent


@st.composite
def _sent(draw: DrawFn, kind: str, body: bytes, headers: list[bytes]) -> Shape:
    path = draw(st.sampled_from(INFER_PATHS))
    types = [b"application/octet-stream", b"application/json", b"multipart/form-data", b"image/jpeg", b"\xff"]
    headers = [*headers, b"Content-Type: " + draw(st.sampled_from(types))]
    if draw(st.sampled_from([False] * 20 + [True])):
        headers.append(b"Content-Encoding: " + draw(st.sampled_from([b"gzip", b"identity", b"br", b"\xff"])))
    if draw(st.sampled_from([False] * 60 + [True])):  # a body that ends before its length costs the wait for its rest
        cut = draw(st.integers(0, len(body)))
        return framed(kind, path, [b"Content-Length: %d" % (len(body) + 1), *headers], body[:cut])
    return request(kind, "POST", path, body, headers)
