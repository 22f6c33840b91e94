"""What models of each task give in the Open Inference Protocol: their outputs, and what these are made of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.open_inference import PROBABILITIES, Tensor
from contract.errors import UnknownOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.http.open_inference import WantedOutput
    from api.http.schemas import TensorMetadata
    from contract.messages import Classification, Detection, Label

LABELS = "labels"  # of pictures, or of objects
LABEL_OUTPUTS = (PROBABILITIES, LABELS)
BOXES, SCORES, CLASS_IDS, COUNTS = "boxes", "scores", "class_ids", "counts"
OBJECT_OUTPUTS = (BOXES, SCORES, LABELS, CLASS_IDS, COUNTS)
NO_CLASSES = "the workers are older than this API and name no classes: ask for the labels without the classification"


def label_metadata(shown: int) -> list[TensorMetadata]:
    """A classifier's outputs: a row for each picture; ``shown`` is how many labels of each there are."""
    return [
        {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, shown]},
        {"name": LABELS, "datatype": "BYTES", "shape": [-1, shown]},
    ]


def label_tensor(wanted: WantedOutput, seen: Sequence[Classification], top_k: int) -> Tensor:
    """A classifier's output.

    Args:
        seen: of each picture, in order; at least one.
        top_k: how many labels there are of each, where no classification says another number.

    Raises:
        UnknownOutcome: classes are wanted, and an answer does not name them.
    """
    width = min(wanted.classes or top_k, *(len(found.labels) for found in seen))
    entries = [entry for found in seen for entry in found.labels[:width]]
    shape = len(seen), width
    if wanted.classes:
        return Tensor(wanted.name, "BYTES", shape, [_classified(entry) for entry in entries])
    if wanted.name == PROBABILITIES:
        return Tensor(wanted.name, "FP32", shape, [entry.score for entry in entries])
    return Tensor(wanted.name, "BYTES", shape, [entry.label for entry in entries])


def _classified(entry: Label) -> str:
    """As Triton writes it: six decimals."""
    if entry.index is None:
        raise UnknownOutcome(NO_CLASSES)
    return f"{entry.score:.6f}:{entry.index}:{entry.label}"


def object_metadata() -> list[TensorMetadata]:
    """A detector's outputs: a row for each object, and ``counts`` with one for each picture."""
    return [
        {"name": BOXES, "datatype": "FP32", "shape": [-1, 4]},
        {"name": SCORES, "datatype": "FP32", "shape": [-1]},
        {"name": LABELS, "datatype": "BYTES", "shape": [-1]},
        {"name": CLASS_IDS, "datatype": "INT64", "shape": [-1]},
        {"name": COUNTS, "datatype": "INT64", "shape": [-1]},
    ]


def object_tensor(wanted: WantedOutput, seen: Sequence[Detection]) -> Tensor:
    """A detector's output: of all objects, those of the first picture first, and each picture's best first.

    ``boxes`` are left, top, right and bottom in pixels of the picture as it is shown. ``counts`` says how many objects
    each picture has.
    """
    objects = [entry for found in seen for entry in found.objects]
    each = (len(objects),)
    match wanted.name:
        case "boxes":
            return Tensor(wanted.name, "FP32", (*each, 4), [side for entry in objects for side in entry.box])
        case "scores":
            return Tensor(wanted.name, "FP32", each, [entry.score for entry in objects])
        case "class_ids":
            return Tensor(wanted.name, "INT64", each, [entry.index for entry in objects])
        case "counts":
            return Tensor(wanted.name, "INT64", (len(seen),), [len(found.objects) for found in seen])
    return Tensor(wanted.name, "BYTES", each, [entry.label for entry in objects])
