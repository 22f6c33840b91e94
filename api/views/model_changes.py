"""``/admin/reload`` and ``/admin/models/<name>/...``: which version of a model answers, for operators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.core.errors import InvalidParameter
from api.http.caller import current_caller
from api.http.fields import fields_of
from api.services import Services
from contract.loading import LONGEST_PATH
from contract.model_name import NAME

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core.model_changes import Moved
    from api.http.schemas import ModelMoved

bp = Blueprint("model_changes", __name__)

PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
RELOADED = "Model reloaded successfully"  # as the systems that this one replaces say it


@bp.post("/reload")
def reload() -> ResponseReturnValue:
    """Have all workers load a version of a model, and let its name mean that one from now on.

    ``model`` is its name, ``path`` the bundle's, below the models' folder; without it the newest version there.

    Raises:
        InvalidParameter: ``model`` or ``path`` can't be one.
        ServiceError: as ``ModelChanges.reload`` does.
    """
    fields = fields_of(request)
    name, path = fields.get("model") or None, fields.get("path") or None
    if name is not None:
        _check_name(name)
    if path is not None and (len(path) > LONGEST_PATH or not PATH.fullmatch(path)):
        raise InvalidParameter("path must be a bundle's below the models' folder, as in my-model or mine/my-model")
    return _told(RELOADED, Services.current().model_changes.reload(name, path, _by()))


@bp.post("/models/<name>/rollback")
def rollback(name: str) -> ResponseReturnValue:
    """Let a model's name mean the version before again.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.rollback`` does.
    """
    _check_name(name)
    return _told("Model rolled back", Services.current().model_changes.rollback(name, _by()))


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidParameter("model must be a model's name, without a version")


def _by() -> str:
    key = current_caller().key
    return key.name if key is not None else "unknown"


def _told(message: str, moved: Moved) -> ResponseReturnValue:
    body: ModelMoved = {
        "message": message,
        "model": moved.current.name,
        "version": moved.current.version,
        "digests": list(moved.digests),
        "previous": moved.before.version if moved.before is not None else None,
        "workers": moved.workers,
    }
    return jsonify(body)
