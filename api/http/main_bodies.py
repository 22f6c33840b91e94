"""The answer of the replaced system's ``/main``, and what is kept of it here."""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from flask import jsonify

from api.http.inspection_bodies import inspected
from api.http.main_parameters import ReturnOptions
from api.http.pictures_in_json import json_with_pictures
from contract.patterns.check import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response

    from api.http.inspection_parameters import WantedInspection
    from api.http.schemas import Inspected, PictureSource, ReplacedMain, ReplacedResults
    from contract.messages import Detection
    from contract.patterns.replaced_check import ReplacedVerdict

OTHER_JUDGEMENT = "/main wants two objects at least, and judges by the pattern of which most are found"
PIXEL_DECIMALS = SCORE_DECIMALS = 3


def main_body(detection: Detection, verdict: ReplacedVerdict | None, options: ReturnOptions) -> ReplacedMain:
    """What is asked for, and nothing else; without the pictures, which ``with_pictures`` adds.

    Args:
        verdict: None if there is nothing to decide about.
    """
    body: ReplacedMain = {}
    if options & ReturnOptions.DECISION:
        body["decision"] = verdict.decision if verdict is not None else None
    if options & ReturnOptions.PATTERN:
        body["pattern_name"] = verdict.pattern if verdict is not None else None
        body["pattern_lg"] = list(verdict.found) if verdict is not None else None
    if options & ReturnOptions.RESULTS:
        body["results"] = _results(detection, options)
    return body


def with_pictures(
    body: ReplacedMain,
    options: ReturnOptions,
    picture: Callable[[], IO[bytes]],
    drawn_picture: Callable[[], IO[bytes]],
) -> Response:
    """The answer with the pictures that are asked for.

    Args:
        picture, drawn_picture: called if they are wanted; they open a JPEG.
    """
    if not options & ReturnOptions.PICTURES:
        return jsonify(body)
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as opened:  # the second may be refused
        for name, option, open_picture in (
            ("img", ReturnOptions.PICTURE, picture),
            ("img_drawn", ReturnOptions.DRAWN_PICTURE, drawn_picture),
        ):
            if options & option:
                files[name] = opened.enter_context(open_picture())
        opened.pop_all()
    return json_with_pictures(body, "images", files)


def kept_of(
    wanted: WantedInspection,
    detection: Detection,
    judged: ReplacedVerdict | None,
    *,
    source: PictureSource,
    animated: bool,
) -> Inspected:
    """The inspection as all are kept, with the decision that was answered, which may differ from our own."""
    found = inspected(wanted, detection, check(wanted.patterns, detection), source=source, animated=animated)
    decision = judged is not None and judged.decision
    if decision != found["decision"]:
        found |= {"decision": decision, "reasons": [] if decision else [OTHER_JUDGEMENT]}
    return found


def _results(detection: Detection, options: ReturnOptions) -> ReplacedResults:
    results: ReplacedResults = {}
    if options & ReturnOptions.BOXES:
        results["bboxes"] = [[round(edge, PIXEL_DECIMALS) for edge in entry.box] for entry in detection.objects]
    if options & ReturnOptions.CLASSES:
        results["class_ids"] = [entry.index for entry in detection.objects]
    if options & ReturnOptions.SCORES:
        results["scores"] = [round(entry.score, SCORE_DECIMALS) for entry in detection.objects]
    return results
