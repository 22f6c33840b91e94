"""The answer of the replaced system's ``/main``, and what is kept of it here."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from api.http.inspection_bodies import inspected
from api.http.main_parameters import ReturnOptions
from contract.patterns.check import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.http.inspection_parameters import WantedInspection
    from api.http.schemas import Inspected, PictureSource, ReplacedMain, ReplacedPictures, ReplacedResults
    from contract.messages import Detection
    from contract.patterns.replaced_check import ReplacedVerdict

OTHER_JUDGEMENT = "/main wants two objects at least, and judges by the pattern of which most are found"
PIXEL_DECIMALS = SCORE_DECIMALS = 3


def main_body(
    detection: Detection,
    verdict: ReplacedVerdict | None,
    options: ReturnOptions,
    picture: Callable[[], bytes],
    drawn_picture: Callable[[], bytes],
) -> ReplacedMain:
    """What is asked for, and nothing else.

    Args:
        verdict: None if there is nothing to decide about.
        picture, drawn_picture: called if they are wanted; they return a JPEG.
    """
    body: ReplacedMain = {}
    if options & ReturnOptions.DECISION:
        body["decision"] = verdict.decision if verdict is not None else None
    if options & ReturnOptions.PATTERN:
        body["pattern_name"] = verdict.pattern if verdict is not None else None
        body["pattern_lg"] = list(verdict.found) if verdict is not None else None
    if options & ReturnOptions.PICTURES:
        pictures: ReplacedPictures = {}
        if options & ReturnOptions.PICTURE:
            pictures["img"] = b64encode(picture()).decode()
        if options & ReturnOptions.DRAWN_PICTURE:
            pictures["img_drawn"] = b64encode(drawn_picture()).decode()
        body["images"] = pictures
    if options & ReturnOptions.RESULTS:
        body["results"] = _results(detection, options)
    return body


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
