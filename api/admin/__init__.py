"""What is for the operator: everything under ``/admin``, behind one key, never stored by a browser or proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, render_template, request

from api import access
from api.admin import feedback
from api.errors import ApiError
from api.problems import answer_api_error

if TYPE_CHECKING:
    from flask import Response

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.before_request(access.require_admin_key)
bp.register_blueprint(feedback.bp)


@bp.after_request
def _keep_nowhere(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.errorhandler(ApiError)
def _in_words(error: ApiError) -> Response:
    """The problem document; for a client that rather shows pages, such as a browser, the same as a page."""
    response = answer_api_error(error)
    accepted = request.accept_mimetypes
    if accepted.quality("text/html") > accepted.quality("application/problem+json"):
        response.set_data(render_template("admin/error.html", error=error))
        response.content_type = "text/html; charset=utf-8"
    return response
