"""``/admin/reload`` and ``/admin/models/<name>/...``: which version of a model answers, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify, request

from api.core.errors import InvalidParameter
from api.http.fields import fields_of
from api.http.model_fields import by_whom, check_name, path_in, per_cent, reason_in, version_in
from api.services import Services

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core.model_changes import Moved
    from api.http.schemas import ModelMoved, ModelPointers
    from contract.model_state import ModelState

bp = Blueprint("model_changes", __name__)

RELOADED = "Model reloaded successfully"  # as the systems that this one replaces say it


@bp.post("/reload")
def reload() -> ResponseReturnValue:
    """Have all workers load a version of a model, and let its name mean that one from now on.

    ``model`` is its name, ``path`` the bundle's, below the models' folder; without it the newest version there.

    Raises:
        InvalidParameter: ``model`` or ``path`` can't be one, or there is a ``version``, which would have no effect.
        ServiceError: as ``ModelChanges.reload`` does.
    """
    fields = fields_of(request)
    if fields.get("version"):
        raise InvalidParameter("a reload takes the path of a bundle below the models' folder, and no version")
    name, path = fields.get("model") or None, path_in(fields)
    if name is not None:
        check_name(name)
    return _told(RELOADED, Services.current().model_changes.reload(name, path, by_whom()))


@bp.post("/models/<name>/rollback")
def rollback(name: str) -> ResponseReturnValue:
    """Let a model's name mean the version before again.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.rollback`` does.
    """
    check_name(name)
    return _told("Model rolled back", Services.current().model_changes.rollback(name, by_whom()))


@bp.put("/models/<name>/candidate")
def set_candidate(name: str) -> ResponseReturnValue:
    """Make a version, or the bundle at a path, the model's candidate, or change the part of the pictures that it gets.

    Raises:
        InvalidParameter: a field is not what it should be.
        ServiceError: as ``ModelChanges.set_candidate`` does.
    """
    check_name(name)
    fields = fields_of(request)
    state = Services.current().model_changes.set_candidate(
        name,
        version=version_in(fields),
        path=path_in(fields),
        share=per_cent(fields, "share"),
        shadow=per_cent(fields, "shadow"),
        by=by_whom(),
    )
    return jsonify(_shown(name, state))


@bp.delete("/models/<name>/candidate")
def drop_candidate(name: str) -> ResponseReturnValue:
    """Let the model have no candidate any more.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.drop_candidate`` does.
    """
    check_name(name)
    return jsonify(_shown(name, Services.current().model_changes.drop_candidate(name, by_whom())))


@bp.post("/models/<name>/promote")
def promote(name: str) -> ResponseReturnValue:
    """Let the model's name mean its candidate; ``force`` says why without a passed check.

    Raises:
        InvalidParameter: ``name`` can't be one.
        ServiceError: as ``ModelChanges.promote`` does.
    """
    check_name(name)
    force = reason_in(fields_of(request))
    return _told("Candidate promoted", Services.current().model_changes.promote(name, by_whom(), force=force))


def _shown(name: str, state: ModelState) -> ModelPointers:
    return {
        "model": name,
        "current": state.current,
        "previous": state.previous,
        "candidate": state.candidate,
        "share": state.share,
        "shadow": state.shadow,
    }


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
