"""``GET /v1/patterns``: what pictures can be held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify

from api.http.inspection_bodies import shown_patterns
from api.services import Services

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.http.schemas import PatternSets

bp = Blueprint("patterns", __name__, url_prefix="/v1/patterns")


@bp.get("")
def list_all() -> ResponseReturnValue:
    """Every set of patterns, in order of key; none if the service has none."""
    body: PatternSets = {"pattern_sets": [shown_patterns(patterns) for patterns in Services.current().patterns.all()]}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response
