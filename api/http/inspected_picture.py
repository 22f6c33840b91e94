"""What the page of inspections draws over a picture and says beside it; ``inspected.js`` does the same in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from api.core.labels import in_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.http.schemas import Edges, Finding, Inspection, Sides, Size

MarkKind = Literal["found", "misplaced", "place", "missing", "surplus"]  # place: where what is misplaced has to be
BEYOND = {"left": ("left", "right"), "top": ("up", "down"), "right": ("left", "right"), "bottom": ("up", "down")}


@dataclass(frozen=True, slots=True)
class Mark:
    """A box over the picture, in pixels, and the words at it."""

    kind: MarkKind
    words: str
    box: Sides


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one object, expected or not."""

    kind: MarkKind
    name: str
    words: str


@dataclass(frozen=True, slots=True)
class InspectedPicture:
    """An inspection as the page shows it.

    Attributes:
        faults: why the part is bad, in few words each: how far what is out of place has to move, the lines say.
    """

    inspection: Inspection
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    faults: tuple[str, ...]

    @classmethod
    def of(cls, inspection: Inspection) -> Self:
        return cls(inspection, tuple(_marks(inspection)), tuple(_lines(inspection)), faults_of(inspection))


@dataclass(frozen=True, slots=True)
class Headline:
    """The page's largest words: what was decided, or why nothing was."""

    state: Literal["good", "bad", "failed", "none"]
    word: str
    why: str

    @classmethod
    def of(cls, inspection: Inspection | None) -> Self:
        """Of the latest, if there is one."""
        if inspection is None:
            return cls("none", "Nothing yet", "No inspection is kept.")
        if inspection["decision"]:
            return cls("good", "Good", "")
        first, *others = faults_of(inspection)
        return cls("bad", "Bad", f"{first}, and {len(others)} more" if others else first)

    @classmethod
    def failed(cls, why: str) -> Self:
        """An inspection that came to nothing, which is no decision."""
        return cls("failed", "No decision", why)


def faults_of(inspection: Inspection) -> tuple[str, ...]:
    """As: bolt 2 is missing. Where all is in its place, ``/main`` may have judged otherwise, and says why."""
    if inspection["decision"]:
        return ()
    found = (f"{name} is {finding['state']}" for name, finding in _named(inspection) if finding["state"] != "found")
    return tuple(found) or tuple(inspection["reasons"])


def _marks(inspection: Inspection) -> Iterator[Mark]:
    found, size = inspection["detections"], inspection["image"]
    for index in inspection["surplus"]:
        yield Mark("surplus", f"? {in_words(found[index]['label'])}", found[index]["box"])
    for name, finding in _named(inspection):
        if finding["detection"] is None:
            yield Mark("missing", f"✕ {name}: missing", _in_pixels(finding["outer"], size))
        elif finding["offset"] is None:
            yield Mark("found", f"✓ {name}", found[finding["detection"]]["box"])
        else:
            yield Mark("place", "", _in_pixels(finding["outer"], size))
            yield Mark("misplaced", f"↔ {name}: out of place", found[finding["detection"]]["box"])


def _lines(inspection: Inspection) -> Iterator[Line]:
    found = inspection["detections"]
    for name, finding in _named(inspection):
        if finding["detection"] is None:
            yield Line("missing", name, "missing")
        elif finding["offset"] is None:
            yield Line("found", name, f"found, {found[finding['detection']]['confidence']:.1%}")
        else:
            yield Line("misplaced", name, f"out of place: {_how_far(finding['offset'])}")
    for index in inspection["surplus"]:
        yield Line("surplus", in_words(found[index]["label"]), "not expected, which changes nothing")


def _named(inspection: Inspection) -> Iterator[tuple[str, Finding]]:
    """What was expected, each by its class, and by a number where several are of it."""
    classes = [_class_name(finding) for finding in inspection["expected"]]
    for index, (name, finding) in enumerate(zip(classes, inspection["expected"], strict=True)):
        yield f"{name} {classes[: index + 1].count(name)}" if classes.count(name) > 1 else name, finding


def _class_name(finding: Finding) -> str:
    label = finding["label"]
    return in_words(label) if label is not None else f"class {finding['class_id']}"


def _how_far(offset: Edges) -> str:
    """As: left edge 5.0% too far right. In per cent of the picture's width, or of its height."""
    edges: dict[str, float] = {**offset}  # type: ignore[dict-item]
    return ", ".join(
        f"{edge} edge {abs(value):.1%} too far {BEYOND[edge][value > 0]}" for edge, value in edges.items() if value
    )


def _in_pixels(edges: Edges, size: Size) -> Sides:
    return {
        "x": edges["left"] * size["width"],
        "y": edges["top"] * size["height"],
        "width": (edges["right"] - edges["left"]) * size["width"],
        "height": (edges["bottom"] - edges["top"]) * size["height"],
    }
