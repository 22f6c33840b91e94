"""Lists and mappings, as of a YAML file or a JSON body, → a set of patterns; all that is wrong is said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from contract.patterns.pattern import MOST_TOLD, BadPattern, ExpectedObject, Pattern, PatternSet, RelativeBox
from contract.wording import nearest

if TYPE_CHECKING:
    from contract.patterns.bounded_yaml import Place

# Each pattern is compared with each object of a picture.
MOST_PATTERNS = 100  # in a set
MOST_OBJECTS = 100  # in a pattern
MOST_OBJECTS_OF_A_SET = 1000
LONGEST_NAME = 100  # characters
LARGEST_CLASS_ID = 99_999

_FIELDS = ("class_id", "label", "inner", "outer")
_EDGES = RelativeBox._fields


class Fault(NamedTuple):
    """``sentence`` has no place in it."""

    place: Place
    sentence: str


class WrongFields(BadPattern):
    """``faults`` are those of the message, in order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(*map(told, faults))
        self.faults = faults


def told(fault: Fault) -> str:
    """A line with place and sentence."""
    names = ", ".join(f"object {part + 1}" if isinstance(part, int) else _shown(part) for part in fault.place)
    return f"{names}: {fault.sentence}" if names else fault.sentence


def pattern_set(key: str, value: Any) -> PatternSet:
    """The set that ``value`` says: a mapping of names to lists of objects.

    Raises:
        WrongFields: it is something else, or has a part that is wrong.
    """
    return _Reader().pattern_set(key, value)


class _Reader:
    """Collects what is wrong; what it has read counts only if that is nothing."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def pattern_set(self, key: str, value: Any) -> PatternSet:
        patterns: list[Pattern] = []
        if not isinstance(value, dict) or not value:
            self._fault((), "it must name patterns, each with a list of objects")
        elif len(value) > MOST_PATTERNS:
            self._fault((), f"it has {len(value)} patterns, and may have {MOST_PATTERNS}")
        else:
            patterns = [self._pattern(name, objects) for name, objects in value.items()]
        count = sum(len(pattern.objects) for pattern in patterns)
        if count > MOST_OBJECTS_OF_A_SET:
            self._fault((), f"it has {count} objects, and may have {MOST_OBJECTS_OF_A_SET}")
        if self._faults:
            raise WrongFields(self._faults)
        return PatternSet(key, tuple(patterns))

    def _pattern(self, name: str, objects: Any) -> Pattern:
        if not is_name(name):
            self._fault((name,), f"a pattern's name is 1 to {LONGEST_NAME} printable characters")
            return Pattern("", ())
        if not isinstance(objects, list) or not objects:
            self._fault((name,), "it must be a list of at least one object")
            return Pattern(name, ())
        if len(objects) > MOST_OBJECTS:
            self._fault((name,), f"it has {len(objects)} objects, and may have {MOST_OBJECTS}")
            return Pattern(name, ())
        read = (self._object(entry, (name, index)) for index, entry in enumerate(objects))
        return Pattern(name, tuple(expected for expected in read if expected is not None))

    def _object(self, entry: Any, place: Place) -> ExpectedObject | None:
        if not isinstance(entry, dict):
            self._fault(place, "it must be a mapping with class_id or label, inner and outer")
            return None
        for field in entry:
            if field not in _FIELDS:
                meant = nearest(field, _FIELDS) if len(self._faults) < MOST_TOLD else None  # others are not shown
                hint = f"; {meant} may be meant" if meant else ""
                self._fault((*place, field), f"nobody knows this field{hint}")
        self._class(entry, place)
        inner, outer = (self._box(entry, place, name) for name in ("inner", "outer"))
        if inner is None or outer is None:
            return None
        self._compare(inner, outer, place)
        return ExpectedObject(inner, outer, entry.get("class_id"), entry.get("label"))

    def _class(self, entry: dict[str, Any], place: Place) -> None:
        if ("class_id" in entry) == ("label" in entry):
            self._fault(place, "it must have either class_id or label")
            return
        if "label" in entry and not is_name(entry["label"]):
            self._fault((*place, "label"), f"must be text of 1 to {LONGEST_NAME} printable characters")
        if "class_id" in entry and not is_class_id(entry["class_id"]):
            self._fault((*place, "class_id"), f"must be a whole number from 0 to {LARGEST_CLASS_ID}")

    def _box(self, entry: dict[str, Any], place: Place, name: str) -> RelativeBox | None:
        if name not in entry:
            self._fault(place, f"{name} is missing")
            return None
        match entry[name]:
            case [_, _, _, _] as edges if all(map(_is_fraction, edges)):
                return RelativeBox(*map(float, edges))
        sentence = "must be left, top, right and bottom, relative to the picture: four numbers from 0 to 1"
        self._fault((*place, name), sentence)
        return None

    def _compare(self, inner: RelativeBox, outer: RelativeBox, place: Place) -> None:
        if outer.left >= outer.right or outer.top >= outer.bottom:
            self._fault((*place, "outer"), "its left edge must be left of its right one, and its top above its bottom")
            return
        for index, (edge, value) in enumerate(zip(_EDGES, inner, strict=True)):
            low, high = outer[index % 2], outer[index % 2 + 2]
            if not low <= value <= high:
                self._fault((*place, "inner"), f"its {edge} edge {value} is not within outer's {low} to {high}")

    def _fault(self, place: Place, sentence: str) -> None:
        self._faults.append(Fault(place, sentence))


def _shown(name: str) -> str:
    """A name on one line, whatever characters it holds."""
    return name if name.isprintable() and len(name) <= LONGEST_NAME else f"{name!a:.{LONGEST_NAME}}"


def is_name(value: Any) -> bool:
    """Whether a pattern or a label may be named so."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_NAME and value.isprintable() and not value.isspace()


def is_class_id(value: Any) -> bool:
    """Whether it may be the index of a model's class."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_CLASS_ID


def _is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
