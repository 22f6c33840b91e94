"""``POST /reload``, where clients of the systems that this one replaces look for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from api.views import model_changes

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("reload", __name__)


@bp.post("/reload")
def reload() -> ResponseReturnValue:
    """As ``POST /admin/reload``, and with the same key."""
    return model_changes.reload()
