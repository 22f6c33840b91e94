"""What is read of the Open Inference Protocol's requests, and what is refused before any picture is looked at."""

from __future__ import annotations

import json
import struct
import tracemalloc
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.core.errors import InvalidUpload
from api.http.json_body import LONGEST_REST
from api.http.open_inference import InferRequest, WantedOutput, read_request, write_answer
from api.http.open_inference_outputs import LABEL_OUTPUTS, label_tensor
from contract.messages import Classification, Label, Timings

BOUNDS: dict[str, Any] = {"names": LABEL_OUTPUTS, "most_pictures": 4, "most_classes": 10}
PICTURES = [b"first", b"", bytes(range(256)) * 8]
CRANES = Classification("birds", "d" * 64, (Label("crane", 0.75, 517), Label("crane", 0.25, 134)), Timings(1.0, 2.0))
FIELDS = ["inputs", "outputs", "name", "datatype", "shape", "data", "parameters", "binary_data_size", "id"]


def read(body: bytes, json_bytes: int | None = None) -> InferRequest:
    return read_request(body, json_bytes, lambda _size: None, **BOUNDS)


def in_json(data: Any = ("Zmlyc3Q=",), shape: Any = (1,), **fields: Any) -> bytes:
    tensor = {"name": "image", "datatype": "BYTES", "shape": shape, "data": data}
    return json.dumps({"inputs": [tensor], **fields}).encode()


def output(name: str, **parameters: Any) -> bytes:
    return in_json(outputs=[{"name": name, "parameters": parameters}])


def binary(behind: bytes, count: Any = 1, size: Any = None, **fields: Any) -> tuple[bytes, int]:
    parameters = {"binary_data_size": len(behind) if size is None else size}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [count], "parameters": parameters, **fields}
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + behind, len(head)


def elements(*pictures: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)


@pytest.mark.parametrize("shape", [[3], [3, 1]])
@pytest.mark.parametrize("rows", [False, True])
def test_pictures_in_json_are_base64_in_a_flat_list_or_in_rows(shape, rows):
    """The protocol allows both. Triton's own JSON has plain texts, which no picture can be."""
    data = [b64encode(picture).decode() for picture in PICTURES]

    assert read(in_json([[text] for text in data] if rows else data, shape)).pictures == PICTURES


def test_pictures_behind_the_json_each_have_their_length_before_them():
    assert read(*binary(elements(*PICTURES), 3)).pictures == PICTURES


def test_without_a_word_of_outputs_all_are_wanted_in_json():
    asked = read(in_json())

    assert asked.id is None
    assert asked.outputs == (WantedOutput("probabilities", 0, binary=False), WantedOutput("labels", 0, binary=False))


def test_outputs_come_as_they_are_asked_for():
    outputs = [
        {"name": "labels", "parameters": {"binary_data": False}},
        {"name": "probabilities", "parameters": {"classification": 2}},
    ]
    asked = read(in_json(id="42", outputs=outputs, parameters={"binary_data_output": True, "priority": 1}))

    assert asked.id == "42"
    assert asked.outputs == (WantedOutput("labels", 0, binary=False), WantedOutput("probabilities", 2, binary=True))


NO_OBJECT = "the body is no JSON object; a form, or a picture's file as it is, is for /infer"
SHAPES = "[n] or [n, 1] is taken, for n pictures"


@pytest.mark.parametrize("shape", [None, [], {}, [0], [-1], [True], [1.0], ["1"], [1, 2], [2, 0], [1, 1, 1], [[1]]])
def test_a_shape_that_is_no_list_of_pictures_is_refused(shape):
    with pytest.raises(InvalidUpload) as refused:
        read(in_json(shape=shape))

    assert str(refused.value) == f"the input's shape is {shape}: {SHAPES}"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", NO_OBJECT),
        (b'\xff\xd8\xff\xe0"', NO_OBJECT),
        (b"[1]", NO_OBJECT),
        (b" {", "the JSON can't be read: it is not well-formed"),
        (
            b'{"a": ' + b"[" * 100_000,
            f"the JSON can't be read: it has more than {LONGEST_REST} bytes beside its pictures",
        ),
        (b"{}", "the request has no input: one is taken, image, of the datatype BYTES"),
        (b'{"inputs": []}', "the request has no input: one is taken, image, of the datatype BYTES"),
        (b'{"inputs": {}}', "inputs must be a list of one object"),
        (b'{"inputs": [3]}', "inputs must be a list of one object"),
        (b'{"inputs": [{}, {}, {}]}', "one input is taken, and the request has 3"),
        (b'{"inputs": [{}]}', "the input has no name"),
        (
            b'{"inputs": [{"name": "x", "datatype": "FP32"}]}',
            "the input's datatype is 'FP32': pictures' files are taken, which are BYTES",
        ),
        (in_json(shape=[5]), "at most 4 pictures are taken at once, and the input's shape has 5"),
        (in_json(shape=[2**64]), f"at most 4 pictures are taken at once, and the input's shape has {2**64}"),
        (in_json(shape=[2]), "the input's data has 1 elements, and its shape 2"),
        (in_json(["", ""]), "the input's data has 2 elements, and its shape 1"),
        (in_json(None), "the input's data must be a list of pictures in base64, or come behind the JSON"),
        (in_json("Zmlyc3Q="), "the input's data must be a list of pictures in base64, or come behind the JSON"),
        (in_json([7]), "element 1 of the input's data is no text"),
        (in_json([["a", "b"]]), "element 1 of the input's data is no text"),
        (in_json(["Zmlyc3Q=", "pictures!"], [2]), "element 2 of the input's data is no base64, nor a data URL with it"),
        (in_json(["\ud800"]), "element 1 of the input's data is no base64, nor a data URL with it"),
        (in_json(id=42), "id must be a text of less than 1024 bytes"),
        (in_json(id="x" * 2000), "id must be a text of less than 1024 bytes"),
        (in_json(parameters=[]), "parameters must be an object"),
        (in_json(parameters={"binary_data_output": 1}), "binary_data_output must be true or false"),
        (in_json(outputs={}), "outputs must be a list of objects"),
        (in_json(outputs=["labels"]), "outputs must be a list of objects"),
        (in_json(outputs=[{"name": "OUT"}]), "there is no output 'OUT': there are probabilities and labels"),
        (in_json(outputs=[{"name": ["labels"]}]), "there is no output ['labels']: there are probabilities and labels"),
        (in_json(outputs=[{"name": "labels"}] * 2), "the output labels is asked for more than once"),
        (output("labels", classification=2), "classification is of the output probabilities"),
        (output("probabilities", classification=11), "classification must be a whole number from 1 to 10"),
        (output("probabilities", classification=-1), "classification must be a whole number from 1 to 10"),
        (output("probabilities", classification=True), "classification must be a whole number from 1 to 10"),
        (output("labels", shared_memory_region="r"), "shared memory is not supported: send the data itself"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(body, words):
    with pytest.raises(InvalidUpload) as refused:
        read(body)

    assert str(refused.value) == words


BEHIND = "come behind the JSON, whose length Inference-Header-Content-Length has to say"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (binary(b""), "the input's binary data ends before element 1 of 1"),
        (binary(b"\x05\0\0"), "the input's binary data ends before element 1 of 1"),
        (binary(b"\x05\0\0\0four"), "element 1 of the input's binary data has 5 bytes, and 4 come"),
        (binary(b"\xff\xff\xff\xff"), "element 1 of the input's binary data has 4294967295 bytes, and 0 come"),
        (binary(elements(b"first"), 2), "the input's binary data ends before element 2 of 2"),
        (binary(elements(b"a", b"b")), "5 bytes come behind the last element of the input's binary data"),
        (binary(elements(b"a"), 2**40), f"at most 4 pictures are taken at once, and the input's shape has {2**40}"),
        (binary(elements(b"a"), size=4), f"the input's binary_data_size is 4, and 5 bytes {BEHIND}"),
        (binary(elements(b"a"), size=6), f"the input's binary_data_size is 6, and 5 bytes {BEHIND}"),
        (binary(elements(b"a"), size=-5), f"the input's binary_data_size is -5, and 5 bytes {BEHIND}"),
        (binary(elements(b"a"), size="5"), f"the input's binary_data_size is '5', and 5 bytes {BEHIND}"),
        (binary(elements(b"a"), size=5.0), f"the input's binary_data_size is 5.0, and 5 bytes {BEHIND}"),
        (binary(elements(b"a"), data=[]), "the input has data and a binary_data_size: one of them is taken"),
        (
            (in_json() + elements(b"a"), len(in_json())),
            "5 bytes come behind the JSON, and the input has no binary_data_size",
        ),
        ((b"{}", 3), "Inference-Header-Content-Length is 3, and the body has only 2 bytes"),
        ((in_json(), 0), NO_OBJECT),
        ((b"{}", 10**12), f"Inference-Header-Content-Length is {10**12}, and the body has only 2 bytes"),
    ],
)
def test_lengths_that_do_not_fit_are_told(sent, words):
    with pytest.raises(InvalidUpload) as refused:
        read(*sent)

    assert str(refused.value) == words


@given(data=st.binary(max_size=64), count=st.integers(-2, 6), size=st.none() | st.integers(-9, 99))
def test_whatever_comes_behind_the_json_is_read_whole_or_refused(data, count, size):
    """Never past its end, and never in part."""
    try:
        pictures = read(*binary(data, count, size)).pictures
    except InvalidUpload:
        return

    assert elements(*pictures) == data
    assert len(pictures) == count


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["BYTES", "labels", "Zmlyc3Q="]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    ),
    json_bytes=st.none() | st.integers(0, 99),
)
def test_no_json_is_a_bug_of_ours(document, json_bytes):
    with suppress(InvalidUpload):
        read(json.dumps(document).encode(), json_bytes)


@pytest.mark.parametrize("how", ["in JSON", "binary"])
def test_of_a_picture_there_is_one_copy_beside_the_body_and_it_is_counted(how):
    """A process reads many bodies at a time."""
    picture = bytes(range(256)) * 4_000
    body, json_bytes = binary(elements(picture)) if how == "binary" else (in_json([b64encode(picture).decode()]), None)
    taken: list[int] = []
    tracemalloc.start()
    asked = read_request(body, json_bytes, taken.append, **BOUNDS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert asked.pictures == [picture]
    assert peak < 1.4 * len(picture)
    assert len(picture) <= sum(taken) < 1.1 * len(picture)


def test_classes_of_one_label_have_their_own_indices():
    """ImageNet's cranes are a bird and a machine."""
    asked = read(output("probabilities", classification=5))
    body, json_bytes = write_answer(asked, ("birds", "1"), lambda wanted: label_tensor(wanted, [CRANES], top_k=3))

    assert json_bytes is None
    assert json.loads(body) == {
        "model_name": "birds",
        "model_version": "1",
        "outputs": [
            {
                "name": "probabilities",
                "datatype": "BYTES",
                "shape": [1, 2],
                "data": ["0.750000:517:crane", "0.250000:134:crane"],
            }
        ],
    }


def test_binary_outputs_come_behind_the_json_in_their_order():
    asked = read(in_json(id="7", parameters={"binary_data_output": True}))
    body, json_bytes = write_answer(asked, ("birds", "2"), lambda wanted: label_tensor(wanted, [CRANES] * 2, top_k=1))

    assert json.loads(body[:json_bytes]) == {
        "model_name": "birds",
        "model_version": "2",
        "id": "7",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 1], "parameters": {"binary_data_size": 8}},
            {"name": "labels", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": 18}},
        ],
    }
    assert body[json_bytes:] == struct.pack("<2f", 0.75, 0.75) + elements(b"crane", b"crane")
