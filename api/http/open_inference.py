"""The bodies of the Open Inference Protocol, version 2, as KServe and Triton have it. Pure.

With Triton's extensions for binary tensor data and for classification. What of it is supported, and why pictures in
JSON are base64: docs/decisions/0052-open-inference-protocol.md.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.core.errors import BrokenForm, InvalidParameter, MissingFile, TooManyPictures
from api.http.json_body import LONGEST_SHORT, JsonBody
from contract.wording import all_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from api.http.schemas import Datatype, InferAnswer, OutputTensor

EXTENSIONS = ("binary_tensor_data", "classification")
PLATFORM = "onnxruntime_onnx"  # Triton's name for what the workers run
INPUT = "image"  # as it is documented: there is one, so that any name means it
PROBABILITIES = "probabilities"  # the output that Triton's extension for classification is of
JSON_BYTES = "Inference-Header-Content-Length"  # the header with the length of the JSON before binary data

LENGTH = struct.Struct("<I")  # before each element of a binary BYTES tensor
_NUMBERS = {"FP32": "f", "INT64": "q"}
_OBJECT = re.compile(rb"[ \t\r\n]*+\{")
SHOWN = 40  # characters of what a sender wrote, in an error


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that the answer is to have.

    Attributes:
        classes: how many are wanted in words, "<value>:<index>:<label>"; 0 for the tensor itself.
        binary: whether its data comes behind the JSON.
    """

    name: str
    classes: int
    binary: bool


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What is wanted.

    Attributes:
        id: the sender's, or None.
        parameters: of the request, as they were sent.
    """

    id: str | None
    pictures: list[bytes]
    outputs: tuple[WantedOutput, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tensor:
    """An output; ``data`` is row by row."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    data: Sequence[float | str]

    def to_bytes(self) -> bytes:
        """Little-endian, without gaps; each text with its length before it."""
        if self.datatype in _NUMBERS:
            return struct.pack(f"<{len(self.data)}{_NUMBERS[self.datatype]}", *self.data)
        texts = [str(text).encode() for text in self.data]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)


def read_request(
    body: bytes,
    json_bytes: int | None,
    take: Callable[[int], None],
    *,
    names: Sequence[str],
    most_pictures: int,
    most_classes: int,
) -> InferRequest:
    """Read an inference request; nothing is known of its pictures yet.

    Args:
        json_bytes: how long the JSON is before binary data; None if there is nothing but JSON.
        take: called with the size of each copy before it is made; what it raises is passed on.
        names: of the model's outputs.
        most_pictures: that one request may have.
        most_classes: that a classification may ask for.

    Raises:
        BrokenForm: it is no JSON, or its data is not what it says.
        MissingFile: it has no input.
        TooManyPictures: it has more than ``most_pictures``.
        InvalidParameter: it asks for what there is not.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise BrokenForm(f"{JSON_BYTES} is {json_bytes}, and the body has only {len(body)} bytes")
    if not _OBJECT.match(body, 0, len(body) if json_bytes is None else json_bytes):
        raise BrokenForm("the body is no JSON object; a form, or a picture's file as it is, is for /infer")
    if json_bytes is None:
        read, binary = JsonBody(body), memoryview(b"")
    else:
        take(json_bytes)
        read, binary = JsonBody(body[:json_bytes]), memoryview(body)[json_bytes:]
    document = read.document
    name = document.get("id")
    if not isinstance(name, str | None) or (name and read.is_long(name)):
        raise InvalidParameter(f"id must be a text of less than {LONGEST_SHORT} bytes")
    outputs = _outputs(document, names, most_classes)  # before pictures are decoded
    pictures = _pictures(_input(document), read, binary, take, most_pictures)
    return InferRequest(name, pictures, outputs, _parameters(document))


def write_answer(
    request: InferRequest, version: tuple[str, str], tensor_of: Callable[[WantedOutput], Tensor]
) -> tuple[bytes, int | None]:
    """The body of an answer, and how long its JSON is before binary data; None if there is nothing but JSON.

    Args:
        version: the model's name and version.
        tensor_of: makes an output; what it raises is passed on.
    """
    outputs: list[OutputTensor] = []
    behind: list[bytes] = []
    for wanted in request.outputs:
        tensor = tensor_of(wanted)
        output: OutputTensor = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if wanted.binary:
            behind.append(tensor.to_bytes())
            output["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            output["data"] = list(tensor.data)
        outputs.append(output)
    name, number = version
    answer: InferAnswer = {"model_name": name, "model_version": number, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    head = json.dumps(answer, separators=(",", ":")).encode()
    return b"".join([head, *behind]), len(head) if behind else None


def _input(document: dict[str, Any]) -> dict[str, Any]:
    match document.get("inputs"):
        case None | []:
            raise MissingFile(f"the request has no input: one is taken, {INPUT}, of the datatype BYTES")
        case [dict(tensor)]:
            pass
        case [_, _, *_] as several:
            raise InvalidParameter(f"one input is taken, and the request has {len(several)}")
        case _:
            raise InvalidParameter("inputs must be a list of one object")
    if not isinstance(tensor.get("name"), str):
        raise InvalidParameter("the input has no name")
    datatype = tensor.get("datatype")
    if datatype != "BYTES":
        raise InvalidParameter(
            f"the input's datatype is {_shown(datatype)}: pictures' files are taken, which are BYTES"
        )
    return tensor


def _pictures(
    tensor: dict[str, Any], read: JsonBody, binary: memoryview, take: Callable[[int], None], most: int
) -> list[bytes]:
    count = _count(tensor.get("shape"), most)
    parameters = _parameters(tensor)
    size, data = parameters.get("binary_data_size"), tensor.get("data")
    if "binary_data_size" not in parameters:
        if binary:
            raise BrokenForm(f"{len(binary)} bytes come behind the JSON, and the input has no binary_data_size")
        return _from_json(data, count, read, take)
    if data is not None:
        raise InvalidParameter("the input has data and a binary_data_size: one of them is taken")
    if type(size) is not int or size != len(binary):
        raise BrokenForm(
            f"the input's binary_data_size is {_shown(size)}, and {len(binary)} bytes come behind the JSON, "
            f"whose length {JSON_BYTES} has to say"
        )
    return _from_binary(binary, count, take)


def _count(shape: Any, most: int) -> int:
    """How many pictures a shape has place for."""
    match shape:
        case [count] | [count, 1] if type(count) is int and count > 0:
            if count > most:
                raise TooManyPictures(f"at most {most} pictures are taken at once, and the input's shape has {count}")
            return count
    raise InvalidParameter(f"the input's shape is {_shown(shape)}: [n] or [n, 1] is taken, for n pictures")


def _from_json(data: Any, count: int, read: JsonBody, take: Callable[[int], None]) -> list[bytes]:
    """The pictures of a flat list, or of one of rows."""
    if not isinstance(data, list):
        raise InvalidParameter("the input's data must be a list of pictures in base64, or come behind the JSON")
    if len(data) != count:
        raise BrokenForm(f"the input's data has {len(data)} elements, and its shape {count}")
    pictures = []
    for position, element in enumerate(data, 1):
        match element:
            case str(text) | [str(text)]:
                pass
            case _:
                raise BrokenForm(f"element {position} of the input's data is no text")
        try:
            pictures.append(read.decoded(text, take))
        except ValueError as error:
            raise BrokenForm(f"element {position} of the input's data is no base64, nor a data URL with it") from error
    return pictures


def _from_binary(data: memoryview, count: int, take: Callable[[int], None]) -> list[bytes]:
    pictures, start = list[bytes](), 0
    for position in range(1, count + 1):
        if len(data) - start < LENGTH.size:
            raise BrokenForm(f"the input's binary data ends before element {position} of {count}")
        (size,) = LENGTH.unpack_from(data, start)
        start += LENGTH.size
        if size > len(data) - start:
            raise BrokenForm(
                f"element {position} of the input's binary data has {size} bytes, and {len(data) - start} come"
            )
        take(size)
        pictures.append(bytes(data[start : start + size]))
        start += size
    if start < len(data):
        raise BrokenForm(f"{len(data) - start} bytes come behind the last element of the input's binary data")
    return pictures


def _outputs(document: dict[str, Any], there: Sequence[str], most_classes: int) -> tuple[WantedOutput, ...]:
    """Those that are asked for, or all."""
    binary = _is_true(_parameters(document), "binary_data_output", otherwise=False)
    asked = document.get("outputs")
    if asked is None or asked == []:
        return tuple(WantedOutput(name, 0, binary) for name in there)
    if not isinstance(asked, list) or not all(isinstance(output, dict) for output in asked):
        raise InvalidParameter("outputs must be a list of objects")
    names = [output.get("name") for output in asked]
    for name in names:
        if name not in there:
            raise InvalidParameter(f"there is no output {_shown(name)}: there are {all_of(there)}")
        if names.count(name) > 1:
            raise InvalidParameter(f"the output {name} is asked for more than once")
    return tuple(
        _output(name, _parameters(output), binary, most_classes) for name, output in zip(names, asked, strict=True)
    )


def _output(name: str, parameters: dict[str, Any], binary: bool, most_classes: int) -> WantedOutput:
    classes = parameters.get("classification", 0)
    if type(classes) is not int or not 0 <= classes <= most_classes:
        raise InvalidParameter(f"classification must be a whole number from 1 to {most_classes}")
    if classes and name != PROBABILITIES:
        raise InvalidParameter(f"classification is of the output {PROBABILITIES}")
    return WantedOutput(name, classes, _is_true(parameters, "binary_data", otherwise=binary))


def _parameters(part: dict[str, Any]) -> dict[str, Any]:
    """Those of a request, an input or an output; what is not known of them changes nothing."""
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidParameter("parameters must be an object")
    if "shared_memory_region" in parameters:
        raise InvalidParameter("shared memory is not supported: send the data itself")
    return parameters


def _is_true(parameters: dict[str, Any], name: str, *, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise InvalidParameter(f"{name} must be true or false")
    return value


def _shown(value: Any) -> str:
    return ascii(value)[:SHOWN]
