"""The Open Inference Protocol, version 2, over REST: how the answer to a request for inference is written."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from api.core.errors import NoWorker
from api.http.open_inference import ELEMENT_LENGTH, LABELS
from contract.errors import RETRY_SOON_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from api.http.open_inference import Datatype, InferenceRequest, WantedOutput
    from api.http.schemas import OpenInferenceAnswer, OutputTensor
    from contract.messages import Label


@dataclass(frozen=True, slots=True)
class Tensor:
    """An output with its values: a row for each picture, and all rows of one length."""

    name: str
    datatype: Datatype
    rows: Sequence[Sequence[float] | Sequence[str]]
    binary: bool

    @property
    def shape(self) -> list[int]:
        return [len(self.rows), len(self.rows[0])]

    @property
    def values(self) -> list[Any]:
        return list(chain.from_iterable(self.rows))

    def encoded(self) -> bytes:
        """The values as the extension for binary tensors has them."""
        if self.datatype == "FP32":
            return struct.pack(f"<{len(self.values)}f", *self.values)
        texts = [value.encode() for value in self.values]
        return b"".join(ELEMENT_LENGTH.pack(len(text)) + text for text in texts)


def tensors(
    wanted: InferenceRequest, found: Sequence[Sequence[Label]], classes: Sequence[Sequence[str]]
) -> list[Tensor]:
    """The outputs that are wanted.

    Args:
        found: each picture's labels, best first.
        classes: for each picture the labels by class index of the model that answered, if any are wanted.

    Raises:
        NoWorker: a label is not among the classes.
    """
    fewest = min(map(len, found))
    return [_tensor(output, min(output.classes or wanted.top_k, fewest), found, classes) for output in wanted.outputs]


def _tensor(
    output: WantedOutput, length: int, found: Sequence[Sequence[Label]], classes: Sequence[Sequence[str]]
) -> Tensor:
    best = [labels[:length] for labels in found]
    if output.classes is not None:
        rows = [_classified(labels, known) for labels, known in zip(best, classes, strict=True)]
        return Tensor(output.name, "BYTES", rows, output.binary)
    if output.name == LABELS:
        return Tensor(output.name, "BYTES", [[entry.label for entry in labels] for labels in best], output.binary)
    return Tensor(output.name, "FP32", [[entry.score for entry in labels] for labels in best], output.binary)


def _classified(labels: Iterable[Label], classes: Sequence[str]) -> list[str]:
    """As Triton writes them: "value:index:label", the value with six decimals.

    Two classes may have one label: an answer that has it twice names them by their index, and any other the first.
    """
    named: dict[str, int] = {}
    texts = []
    for entry in labels:
        try:
            named[entry.label] = index = classes.index(entry.label, named.get(entry.label, -1) + 1)
        except ValueError as error:
            raise NoWorker("no worker has published the classes of this answer yet", RETRY_SOON_S) from error
        texts.append(f"{entry.score:f}:{index}:{entry.label}")
    return texts


def write_answer(head: OpenInferenceAnswer, outputs: Iterable[Tensor]) -> tuple[bytes, int | None]:
    """The body, and the length of the JSON in it if there is anything behind that.

    Args:
        head: the answer so far; its outputs are added.
    """
    behind = []
    for tensor in outputs:
        told: OutputTensor = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if tensor.binary:
            behind.append(tensor.encoded())
            told["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            told["data"] = tensor.values
        head["outputs"].append(told)
    text = json.dumps(head).encode()
    return b"".join([text, *behind]), len(text) if behind else None
