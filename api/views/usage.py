"""``/admin/usage``: what each sender has used today, as JSON or, for a browser, as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, render_template

from api.http.html import prefers_page
from api.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask.typing import ResponseReturnValue

    from api.core.usage_report import Used
    from api.http.schemas import SenderUsage, UsageToday

bp = Blueprint("usage", __name__)


@bp.get("/usage")
def show() -> ResponseReturnValue:
    """Today's requests, bytes and refusals of every key, and of the addresses without one that sent most.

    Raises:
        BackendDown: Redis does not answer.
    """
    report = Services.current().usage_reports.today()
    if prefers_page():
        return render_template("admin/usage.html", report=report)
    body: UsageToday = {"day": report.day, "keys": _shown(report.keys), "addresses": _shown(report.addresses)}
    return jsonify(body)


def _shown(used: Iterable[Used]) -> list[SenderUsage]:
    return [{"name": one.name, "requests": one.requests, "bytes": one.bytes, "refused": one.refused} for one in used]
