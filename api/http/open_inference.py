"""The Open Inference Protocol, version 2, over REST: how a request for inference is read.

A picture is an element of one tensor of bytes: as base64 in JSON, or, with the extension for binary tensors, as it is,
behind the JSON and its own length.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from api.core.errors import BrokenForm, InvalidParameter, TooManyPictures
from api.http.long_strings import LONGEST_REST, LONGEST_SHORT, JsonWithLongStrings

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.settings import Settings

    Take = Callable[[int], None]
    Datatype = Literal["BYTES", "FP32"]

ROOT = "/v2"
EXTENSIONS = ("binary_tensor_data", "classification")
HEADER_LENGTH = "Inference-Header-Content-Length"
INPUT, PROBABILITIES, LABELS = "image", "probabilities", "labels"
OUTPUTS: dict[str, Datatype] = {PROBABILITIES: "FP32", LABELS: "BYTES"}

ELEMENT_LENGTH = struct.Struct("<I")  # in bytes, in front of each element of a binary tensor of bytes

SHOWN = 40  # characters of what a sender has named
_HEADER_LENGTH = re.compile(r"[0-9]{1,12}")


def is_open_inference(path: str) -> bool:
    """Whether errors under this path are told in the protocol's shape."""
    return path == ROOT or path.startswith(f"{ROOT}/")


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """One output of the answer.

    Attributes:
        binary: whether it comes behind the JSON.
        classes: how many classes are wanted in place of the probabilities; None for the output itself.
    """

    name: str
    binary: bool
    classes: int | None = None


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What a request says.

    Attributes:
        request_id: the sender's own, to be echoed.
        pictures: encoded, at least one, none of them looked at.
        top_k: the number of labels in each output that is not of classes, at most.
    """

    request_id: str | None
    pictures: list[bytes]
    outputs: tuple[WantedOutput, ...]
    top_k: int

    @property
    def wants_classes(self) -> bool:
        return any(output.classes is not None for output in self.outputs)


def read_request(body: bytes, header_length: str | None, settings: Settings, take: Take) -> InferenceRequest:
    """Read a request for inference.

    Args:
        header_length: the header ``HEADER_LENGTH``, if there is one.
        take: called with the size of each picture before it is copied; what it raises is passed on.

    Raises:
        BrokenForm: the body is not what it says of itself.
        InvalidParameter: it asks for what there is not.
        TooManyPictures: it has more than ``max_batch_files``.
    """
    head, behind = _split(body, header_length)
    read = JsonWithLongStrings(head)
    document = _object(read.document, "the request")
    parameters = _parameters(document)
    outputs = _outputs(document, settings.top_k_max, binary=_flag(parameters, "binary_data_output", default=False))
    top_k = _count_of_labels(parameters, "top_k", settings.top_k_max)
    return InferenceRequest(
        _request_id(document, read),
        _pictures(_only_input(document), read, behind, settings.max_batch_files, take),
        outputs,
        settings.top_k if top_k is None else top_k,
    )


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """The JSON, and what is behind it."""
    if header_length is None:
        return body, memoryview(b"")
    if not _HEADER_LENGTH.fullmatch(header_length) or not 0 < int(header_length) <= len(body):
        raise BrokenForm(f"{HEADER_LENGTH} must be a number from 1 to the body's length, {len(body)}")
    length = int(header_length)
    if length == len(body):
        return body, memoryview(b"")
    if length > LONGEST_REST:  # pictures are behind it
        raise BrokenForm(f"the JSON in front of the binary data has more than {LONGEST_REST} bytes")
    return body[:length], memoryview(body)[length:]


def _request_id(document: dict[str, Any], read: JsonWithLongStrings) -> str | None:
    request_id = document.get("id")
    if request_id is None:
        return None
    if not isinstance(request_id, str) or read.is_long(request_id):
        raise InvalidParameter(f"id must be a text of at most {LONGEST_SHORT - 2} bytes")
    return request_id


def _only_input(document: dict[str, Any]) -> dict[str, Any]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise InvalidParameter(f"inputs must be a list of one tensor, {INPUT!r}")
    tensor = _object(inputs[0], "the input")
    if tensor.get("name") != INPUT:
        raise InvalidParameter(f"there is no input {_shown(tensor.get('name'))}: the one input is {INPUT!r}")
    if tensor.get("datatype") != "BYTES":
        raise InvalidParameter(
            f"the input's datatype must be BYTES, of encoded pictures, and is {_shown(tensor.get('datatype'))}"
        )
    return tensor


def _pictures(
    tensor: dict[str, Any], read: JsonWithLongStrings, behind: memoryview, most: int, take: Take
) -> list[bytes]:
    shape, size = _shape(tensor.get("shape"), most), _parameters(tensor).get("binary_data_size")
    if size is None:
        if behind:
            raise BrokenForm(f"there are {len(behind)} bytes behind the JSON, and the input has no binary_data_size")
        return _of_json(tensor.get("data"), shape, read, take)
    if tensor.get("data") is not None:
        raise InvalidParameter("the input has both data and binary_data_size")
    if type(size) is not int or size != len(behind):
        raise BrokenForm(
            f"binary_data_size must be the number of bytes behind the JSON, {len(behind)}: {HEADER_LENGTH} says where "
            "they begin"
        )
    return _of_binary(behind, shape[0], take)


def _shape(shape: Any, most: int) -> list[int]:
    """[n] or [n, 1], with n from 1 to ``most``."""
    is_list = isinstance(shape, list) and len(shape) in {1, 2} and all(type(length) is int for length in shape)
    if not is_list or shape[0] < 1 or shape[1:] not in ([], [1]):
        raise InvalidParameter("the input's shape must be [n] or [n, 1], for n pictures")
    if shape[0] > most:
        raise TooManyPictures(f"at most {most} pictures are taken at once, and the input's shape says {shape[0]}")
    return list(shape)


def _of_json(data: Any, shape: list[int], read: JsonWithLongStrings, take: Take) -> list[bytes]:
    """Elements in a row, or nested as the shape is."""
    if isinstance(data, list) and len(shape) > 1:
        data = [element[0] if isinstance(element, list) and len(element) == 1 else element for element in data]
    is_of_texts = isinstance(data, list) and all(isinstance(element, str) for element in data)
    if not is_of_texts or len(data) != shape[0]:
        raise InvalidParameter(f"the input's data must be a list of {shape[0]} texts, as its shape says")
    pictures = []
    for number, text in enumerate(data, 1):
        try:
            pictures.append(read.decoded(text, take))
        except ValueError as error:
            raise BrokenForm(f"element {number} of the input is no base64, nor a data URL with it") from error
    return pictures


def _of_binary(data: memoryview, count: int, take: Take) -> list[bytes]:
    """Elements, each behind its length."""
    pictures, position = [], 0
    for number in range(1, count + 1):
        if len(data) - position < ELEMENT_LENGTH.size:
            raise BrokenForm(f"the binary data end before element {number} of {count}")
        (length,) = ELEMENT_LENGTH.unpack_from(data, position)
        position += ELEMENT_LENGTH.size
        if length > len(data) - position:
            raise BrokenForm(
                f"element {number} says that it has {length} bytes, and there are {len(data) - position} behind it"
            )
        take(length)
        pictures.append(bytes(data[position : position + length]))
        position += length
    if position < len(data):
        raise BrokenForm(f"there are {len(data) - position} bytes behind the last element of the binary data")
    return pictures


def _outputs(document: dict[str, Any], most_labels: int, *, binary: bool) -> tuple[WantedOutput, ...]:
    asked = document.get("outputs")
    if asked is None or asked == []:
        return tuple(WantedOutput(name, binary) for name in OUTPUTS)
    if not isinstance(asked, list):
        raise InvalidParameter("outputs must be a list")
    outputs = tuple(_output(_object(each, "an output"), most_labels, binary=binary) for each in asked)
    if len({output.name for output in outputs}) < len(outputs):
        raise InvalidParameter("an output can be asked for only once")
    return outputs


def _output(asked: dict[str, Any], most_labels: int, *, binary: bool) -> WantedOutput:
    name = asked.get("name")
    if not isinstance(name, str) or name not in OUTPUTS:
        raise InvalidParameter(f"there is no output {_shown(name)}: there are {PROBABILITIES!r} and {LABELS!r}")
    parameters = _parameters(asked)
    classes = _count_of_labels(parameters, "classification", most_labels)
    if classes is not None and name != PROBABILITIES:
        raise InvalidParameter(f"classification is for the output {PROBABILITIES!r}")
    return WantedOutput(name, _flag(parameters, "binary_data", default=binary), classes)


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidParameter(f"{what} must be a JSON object")
    return value


def _parameters(of: dict[str, Any]) -> dict[str, Any]:
    """What we don't know is meant for others; shared memory would be for us."""
    parameters = of.get("parameters")
    if parameters is None:
        return {}
    if any(name.startswith("shared_memory") for name in _object(parameters, "parameters")):
        raise InvalidParameter("this service takes and gives no tensors in shared memory")
    return _object(parameters, "parameters")


def _flag(parameters: dict[str, Any], name: str, *, default: bool) -> bool:
    value = parameters.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidParameter(f"{name} must be true or false")
    return value


def _count_of_labels(parameters: dict[str, Any], name: str, most: int) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {most}")
    return value


def _shown(value: Any) -> str:
    return ascii(value[:SHOWN]) if isinstance(value, str) else "without a name"
