"""YAML of texts, numbers, lists and mappings, with the lines where they stand; all that is more is refused.

Aliases make a small file a huge one, tags make objects, and of a key that is there twice one is lost without a word:
none of them is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_DEPTH = 8  # lists and mappings in one another
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, where PyYAML came with it

Place = tuple[str | int, ...]
"""Keys of mappings and indices of lists, from the outside in."""


class BadYaml(Exception):
    """``line`` counts from 1; the message is a sentence without a place."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Document(NamedTuple):
    """What a text says.

    Attributes:
        value: made of dicts with texts as keys, lists, texts, numbers, booleans, dates and None.
        lines: of each value the line where it begins; of a mapping's value the line of its key. They count from 1.
    """

    value: Any
    lines: Mapping[Place, int]


def read_yaml(text: str) -> Document:
    """The only document of a text.

    Raises:
        BadYaml: it is no YAML, or has something that is not read.
    """
    if odd := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise BadYaml(line, f"it has a character that no text has, {odd.group()!a}")
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) if mark else 0  # behind the end there is none
        raise BadYaml(line + 1, f"it is no YAML: {error.problem or error.context}") from error


class _Reader:
    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_LOADER)
        self._scalars = yaml.SafeLoader("")
        self._lines: dict[Place, int] = {}

    def document(self) -> Document:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise BadYaml(1, "it is empty")
        value = self._value(next(self._events), ())
        next(self._events)  # the document ends
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            _refuse(more, "a second document begins here")
        return Document(value, self._lines)

    def _value(self, event: yaml.Event, place: Place) -> Any:
        _check_plain(event)
        self._lines.setdefault(place, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(place) >= MOST_DEPTH:
            _refuse(event, f"there are more than {MOST_DEPTH} lists and mappings in one another")
        return self._list(place) if isinstance(event, yaml.SequenceStartEvent) else self._mapping(place)

    def _list(self, place: Place) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*place, len(values))))
        return values

    def _mapping(self, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            _check_plain(event)
            key = self._scalar(event) if isinstance(event, yaml.ScalarEvent) else None
            if not isinstance(key, str):
                _refuse(event, "a name must be text: what YAML takes for something else belongs in quotes")
            if key in values:
                _refuse(event, f"{key!r:.100} is there already, in line {self._lines[(*place, key)]}")
            self._lines[(*place, key)] = _line(event)
            values[key] = self._value(next(self._events), (*place, key))
        return values

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        try:
            return self._scalars.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, yaml.YAMLError):
            _refuse(event, f"{event.value!r:.100} is neither a number nor anything else; in quotes it is text")


def _check_plain(event: yaml.Event) -> None:
    if getattr(event, "anchor", None) is not None:  # an alias has one too
        _refuse(event, "anchors and aliases (& and *) are not read; in quotes they are text")
    if getattr(event, "tag", None) is not None:
        _refuse(event, "tags (!) are not read; in quotes they are text")


def _refuse(event: yaml.Event, message: str) -> NoReturn:
    raise BadYaml(_line(event), message)


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 1
