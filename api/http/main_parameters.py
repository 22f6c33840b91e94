"""The parameters of the replaced system's ``/main``: what is wanted of a picture, and of its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter
from api.http.detection_parameters import WantedObjects
from api.http.inspection_parameters import USUAL_MIN_SCORE, WantedInspection
from api.http.parameters import min_score_of, sent
from contract.model_task import ModelTask

if TYPE_CHECKING:
    from flask import Request

    from api.services import Services

OWN = ("pattern_key", "min_score", "return_options")
OF_THE_PICTURE = {  # what of the replaced system's own asks for nothing that is not done anyway
    "format": re.compile("jpe?g", re.IGNORECASE),
    "rotation_angle": re.compile(r"[+-]?0+(\.0*)?"),
}

TAKEN = frozenset({*OWN, *OF_THE_PICTURE})

_OPTIONS = re.compile("[0-9]{1,3}")


class ReturnOptions(IntFlag):
    """What is answered."""

    DECISION = 1
    PATTERN = 2
    PICTURE = 4
    DRAWN_PICTURE = 8
    BOXES = 16
    CLASSES = 32
    SCORES = 64

    PICTURES = PICTURE | DRAWN_PICTURE
    RESULTS = BOXES | CLASSES | SCORES
    ALL = 127


@dataclass(frozen=True, slots=True)
class WantedMain:
    """``inspection`` is None where the service has no patterns: then nothing is held against any."""

    objects: WantedObjects
    inspection: WantedInspection | None
    options: ReturnOptions

    @classmethod
    def from_request(cls, request: Request, services: Services, passed_on: tuple[str, ...] = ()) -> Self:
        """Read the parameters. What nobody here knows is refused: another picture may be meant than this is.

        A ``min_score`` below the model's own leaves all that it answers with, as it does in the replaced system.

        Args:
            passed_on: names of parameters that somebody else reads.

        Raises:
            InvalidParameter: a parameter is wrong, not known, or asks for what is not done here; or there are several
                sets of patterns, and ``pattern_key`` says nothing.
            UnknownPattern, PatternMismatch: as ``Patterns.of``.
            UnknownModel, OtherTask, NoWorker, BackendDown: as ``LabelLookup.of``.
            BrokenForm, RequestEntityTooLarge: as reading the form does.
        """
        for name, value in (*request.args.items(multi=True), *request.form.items(multi=True)):
            if name not in (*OWN, *passed_on):
                _check_picture_parameter(name, value)
        min_score, options = min_score_of(request), _options(request)
        least = USUAL_MIN_SCORE if min_score is None else min_score
        objects = WantedObjects(None, least, None, frozenset(), strict=True)
        key = next(iter(sent(request, "pattern_key")), None) or None
        if key is None and not services.patterns.all():
            return cls(objects, None, options)
        known = services.labels.of(None, ModelTask.DETECTION)
        return cls(objects, WantedInspection(objects, services.patterns.of(key, known), known), options)


def _check_picture_parameter(name: str, value: str) -> None:
    """Raises InvalidParameter: it asks for what is not done here."""
    taken = OF_THE_PICTURE.get(name)
    if taken is None:
        raise InvalidParameter(f"{name[:40]!a} is no parameter that is taken here")
    if not taken.fullmatch(value):
        raise InvalidParameter(f"{name} can't be {value[:40]!a}: pictures are taken as they come, and answered as JPEG")


def _options(request: Request) -> ReturnOptions:
    raw = next(iter(sent(request, "return_options")), str(int(ReturnOptions.ALL)))
    if not _OPTIONS.fullmatch(raw) or int(raw) > ReturnOptions.ALL:
        raise InvalidParameter(f"return_options must be a whole number from 0 to {int(ReturnOptions.ALL)}")
    return ReturnOptions(int(raw))
