"""The sets of patterns that this service inspects with, read once at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.core.errors import InvalidParameter, PatternMismatch, UnknownPattern
from contract.patterns.pattern import BadPattern, check_classes
from contract.patterns.pattern_file import read_pattern_folder

if TYPE_CHECKING:
    from pathlib import Path

    from api.core.labels import LabelList
    from contract.patterns.pattern import PatternSet

MOST_NAMED = 10  # keys in a message


def demand_same_objects(patterns: PatternSet, min_score: float, known: LabelList, answered: LabelList) -> None:
    """See that another bundle than the one that a request was checked against has found what the request is about.

    Such is a candidate's, a version's that has become current meanwhile, or a fallback's.

    Args:
        min_score: of objects that count, which may be below what the model that was asked for answers with.
        known, answered: of the model that was asked for, and of what has answered.

    Raises:
        PatternMismatch: it does not know a class, means another by the same index, or leaves out objects that count.
    """
    _demand_classes(patterns, answered)
    indices = {expected.class_id for pattern in patterns.patterns for expected in pattern.objects}
    for index in sorted(index for index in indices if index is not None):
        ours, theirs = known.labels[index], answered.labels[index]
        if ours != theirs:
            raise PatternMismatch(
                f"this pattern does not fit {answered.model}: its class {index} is {theirs!r}, and not {ours!r} as "
                f"that of {known.model}"
            )
    least = min_score if known.objects is None else max(min_score, known.objects.min_score)
    if answered.objects is not None and answered.objects.min_score > least:
        raise PatternMismatch(
            f"{answered.model} has no answers below {answered.objects.min_score:g}, and objects count from {least:g} on"
        )


def _demand_classes(patterns: PatternSet, known: LabelList) -> None:
    try:
        check_classes(patterns, known.labels)
    except BadPattern as error:
        raise PatternMismatch(f"this pattern does not fit {known.model}: {'; '.join(error.lines[:3])}") from error


class Patterns:
    """Those of a folder; a change there counts from the next start on.

    Args:
        folder: of pattern files; None for no patterns.

    Raises:
        BadPattern: a file is wrong, or the folder can't be read; a line for each fault.
    """

    def __init__(self, folder: Path | None) -> None:
        self._sets = read_pattern_folder(folder) if folder is not None else {}

    def all(self) -> tuple[PatternSet, ...]:
        """In order of key."""
        return tuple(self._sets.values())

    def of(self, key: str | None, known: LabelList) -> PatternSet:
        """The set of this key; without one, the only set that there is.

        Args:
            known: labels of the model that is to find the objects.

        Raises:
            UnknownPattern: there is no such set, or none at all.
            InvalidParameter: no key is given, and there are several sets.
            PatternMismatch: the set names a class that the model does not know.
        """
        found = self.named(key)
        _demand_classes(found, known)
        return found

    def named(self, key: str | None) -> PatternSet:
        """As ``of``, whatever the model.

        Raises:
            UnknownPattern, InvalidParameter: as ``of``.
        """
        if not self._sets:
            raise UnknownPattern("this service has no patterns: PATTERN_DIR is not set, or empty")
        if key:
            if key not in self._sets:
                raise UnknownPattern(f"there is no pattern {key[:64]!a}; {self._told()}")
            return self._sets[key]
        if len(self._sets) > 1:
            raise InvalidParameter(f"pattern must be sent; {self._told()}")
        return next(iter(self._sets.values()))

    def _told(self) -> str:
        names = list(self._sets)
        more = ", ..." if len(names) > MOST_NAMED else ""
        return f"there are {', '.join(names[:MOST_NAMED])}{more}"
