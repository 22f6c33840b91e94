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
from contract.model_name import NAME, VERSION
from contract.model_state import WHOLE

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core.model_changes import Moved
    from api.http.schemas import ModelMoved, ModelPointers
    from contract.model_state import ModelState

bp = Blueprint("model_changes", __name__)

PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
LONGEST_REASON = 300  # characters
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
    name, path = fields.get("model") or None, _path(fields)
    if name is not None:
        _check_name(name)
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


@bp.put("/models/<name>/candidate")
def set_candidate(name: str) -> ResponseReturnValue:
    """Make a version, or the bundle at a path, the model's candidate, or change the part of the pictures that it gets.

    Raises:
        InvalidParameter: a field is not what it should be.
        ServiceError: as ``ModelChanges.set_candidate`` does.
    """
    _check_name(name)
    fields = fields_of(request)
    version = fields.get("version") or None
    if version is not None and not VERSION.fullmatch(version):
        raise InvalidParameter("version must be that of a bundle, of letters, digits and . _ -")
    state = Services.current().model_changes.set_candidate(
        name,
        version=version,
        path=_path(fields),
        share=_per_cent(fields, "share"),
        shadow=_per_cent(fields, "shadow"),
        by=_by(),
    )
    return jsonify(_shown(name, state))


@bp.delete("/models/<name>/candidate")
def drop_candidate(name: str) -> ResponseReturnValue:
    """Let the model have no candidate any more.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.drop_candidate`` does.
    """
    _check_name(name)
    return jsonify(_shown(name, Services.current().model_changes.drop_candidate(name, _by())))


@bp.post("/models/<name>/promote")
def promote(name: str) -> ResponseReturnValue:
    """Let the model's name mean its candidate; ``force`` says why without a passed check.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.promote`` does.
    """
    _check_name(name)
    force = " ".join(fields_of(request).get("force", "").split())[:LONGEST_REASON]
    return _told("Candidate promoted", Services.current().model_changes.promote(name, _by(), force=force))


def _shown(name: str, state: ModelState) -> ModelPointers:
    return {
        "model": name,
        "current": state.current,
        "previous": state.previous,
        "candidate": state.candidate,
        "share": state.share,
        "shadow": state.shadow,
    }


def _per_cent(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "0")
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > WHOLE:
        raise InvalidParameter(f"{name} must be a whole number from 0 to {WHOLE}, in per cent")
    return int(text)


def _path(fields: dict[str, str]) -> str | None:
    path = fields.get("path") or None
    if path is not None and (len(path) > LONGEST_PATH or not PATH.fullmatch(path)):
        raise InvalidParameter("path must be a bundle's below the models' folder, as in my-model or mine/my-model")
    return path


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
