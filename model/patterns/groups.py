"""The objects of a part, as they are in several pictures of it: a group of boxes for each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from contract.patterns.pattern import RelativeBox
from contract.patterns.placement import placed_objects
from model.patterns.errors import Unclear
from model.patterns.grouping import group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from contract.messages import Detection
    from contract.patterns.placement import PlacedObject

MOST_OF_A_CLASS = 2000  # in all pictures: each is compared with each


class Group(NamedTuple):
    """One object of a part.

    Attributes:
        class_id, label: as of a ``PlacedObject``.
        boxes: float64 (n, 4), relative, one of each of ``pictures``, which are counted from 0.
    """

    class_id: int
    label: str
    boxes: NDArray[np.float64]
    pictures: NDArray[np.intp]

    @property
    def median(self) -> RelativeBox:
        return RelativeBox(*np.median(self.boxes, axis=0).tolist())

    @property
    def place(self) -> str:
        """For people."""
        return "[" + ", ".join(f"{edge:.3f}" for edge in self.median) + "]"


def groups_in(detections: Sequence[Detection], spread: float) -> list[Group]:
    """The objects in several pictures of parts, in order of class, then from left to right and from top to bottom.

    Args:
        spread: the farthest that an edge of one object may lie apart over the pictures, relative to the picture.

    Raises:
        Unclear: there are more of a class than can be compared.
    """
    return [found for objects, pictures in _by_class(detections) for found in _groups(objects, pictures, spread)]


def _by_class(detections: Sequence[Detection]) -> Iterator[tuple[list[PlacedObject], list[int]]]:
    """Of each class its objects and the pictures they are in; in order of class, picture and place."""
    seen: dict[int, tuple[list[PlacedObject], list[int]]] = {}
    for picture, detection in enumerate(detections):
        for placed in sorted(placed_objects(detection), key=lambda placed: placed.box):
            objects, pictures = seen.setdefault(placed.class_id, ([], []))
            objects.append(placed)
            pictures.append(picture)
    return (seen[class_id] for class_id in sorted(seen))


def _groups(objects: list[PlacedObject], pictures: list[int], spread: float) -> list[Group]:
    class_id, label = objects[0].class_id, str(objects[0].label)
    if len(objects) > MOST_OF_A_CLASS:
        raise Unclear(
            f"the pictures have {len(objects)} times {label}, and at most {MOST_OF_A_CLASS} are compared: "
            "take fewer pictures, only some labels, or a higher least score"
        )
    boxes, numbers = np.array([placed.box for placed in objects]), np.array(pictures)
    groups = [Group(class_id, label, boxes[found], numbers[found]) for found in group(boxes, numbers, spread)]
    return sorted(groups, key=lambda found: found.median)
