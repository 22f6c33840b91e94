"""``/inspect``: the page at an inspection line: the trigger, the latest decision, and those before."""

from __future__ import annotations

from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from flask import Blueprint, make_response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge

from api.core.errors import AccessRefused, OverLimit
from api.http.caller import current_caller
from api.http.html import answer_as_page, in_words
from api.http.inspected_picture import Headline, InspectedPicture
from api.http.inspection_bodies import shown_inspection
from api.http.parameters import page_number
from api.http.problems import detail_of
from api.http.response_headers import describe
from api.inspection.filter import InspectionFilter
from api.keys.key import Scope
from api.services import Services
from api.views.inspections import PAGE, inspected_now
from contract.errors import ServiceError

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("inspect_page", __name__, url_prefix="/inspect")
for refusal in (AccessRefused, OverLimit):
    bp.register_error_handler(refusal, answer_as_page)

READING = frozenset({Scope.INSPECTIONS, Scope.ADMIN})


@bp.get("")
def show() -> ResponseReturnValue:
    """The page; where keys are in force it is empty, and its script asks for one."""
    return _newest()


@bp.get("/history")
def history() -> ResponseReturnValue:
    """The same for who has a key and no script: the browser itself asks for it."""
    return _newest()


@bp.post("")
def inspect() -> ResponseReturnValue:
    """Inspect a picture, or have the camera take one, and show the page with the decision.

    What goes wrong is told in the place of the decision, with the error's usual status.
    """
    try:
        inspection, answer = inspected_now()
    except ServiceError as error:
        return in_words(error, _page(headline=Headline.failed(str(error))))
    except RequestEntityTooLarge as error:
        return _page(headline=Headline.failed(detail_of(error))), HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    latest = InspectedPicture.of(inspection)
    page = _page(headline=Headline.of(inspection), latest=latest, chosen_key=inspection["pattern"])
    return describe(make_response(page), answer)


def _newest() -> ResponseReturnValue:
    """The page with what is kept; if that can't be read, the page says so in the place of the decision."""
    if not _may_read():
        return _page()
    try:
        latest = next(map(shown_inspection, Services.current().inspections.newest_first(InspectionFilter())), None)
        past = _history()
    except ServiceError as error:
        return in_words(error, _page(headline=Headline.failed(str(error))))
    picture = InspectedPicture.of(latest) if latest is not None else None
    response = make_response(_page(headline=Headline.of(latest), latest=picture, **past))
    response.headers["Cache-Control"] = "no-store"  # a browser that goes back must not show an old one as the latest
    return response


def _history() -> dict[str, Any]:
    """What the template shows of a page of inspections, bad ones first.

    Raises:
        InvalidParameter: the query's ``page`` or ``decision`` is not valid.
        BackendDown: they can't be read.
    """
    number = page_number(request)
    wanted = InspectionFilter.from_query({"decision": request.args.get("decision", "")})
    start = (number - 1) * PAGE
    found = list(islice(Services.current().inspections.newest_first(wanted), start, start + PAGE + 1))
    pictures = [InspectedPicture.of(shown_inspection(done)) for done in found[:PAGE]]
    return {
        "bad": [one for one in pictures if not one.inspection["decision"]],
        "good": [one for one in pictures if one.inspection["decision"]],
        "number": number,
        "more": len(found) > PAGE,
        "only_bad": wanted.decision is False,
    }


def _may_read() -> bool:
    """Whether whoever has sent the current request may see what was inspected."""
    caller = current_caller()
    return not Services.current().keyring.shut or any(caller.may(scope) for scope in READING)


def _page(**shown: Any) -> str:
    services = Services.current()
    sets = services.patterns.all()
    known = not services.keyring.shut or current_caller().key is not None  # as of /v1/patterns; the page is open to all
    return render_template(
        "inspect.html",
        settings=services.settings,
        has_camera=services.camera.is_there,
        pattern_keys=[patterns.key for patterns in sets] if known else [],
        known=known,
        may_read=_may_read(),
        here="inspect_page.history" if services.keyring.shut else "inspect_page.show",
        **{"chosen_key": request.args.get("pattern", ""), **shown},
    )
