"""``GET /v1/models``: which models there are, for programs and people that choose one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, jsonify

from api.core.errors import InvalidParameter
from api.services import Services
from contract.model_name import NAME

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from api.core.models import ModelStatus, VersionStatus
    from api.http.schemas import Model, ModelList, Version

bp = Blueprint("models", __name__, url_prefix="/v1/models")


@bp.get("")
def list_all() -> ResponseReturnValue:
    """Every model with a live worker.

    Raises:
        BackendDown: Redis does not answer.
    """
    body: ModelList = {"models": [shown_model(status) for status in Services.current().models.all()]}
    response = jsonify(body)
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/<name>")
def show(name: str) -> ResponseReturnValue:
    """One model, with all its versions.

    Raises:
        InvalidParameter: ``name`` can't be one.
        UnknownModel: no worker has ever served it.
        BackendDown: Redis does not answer.
    """
    if not NAME.fullmatch(name):
        raise InvalidParameter("model must be a model's name, without a version")
    response = jsonify(shown_model(Services.current().models.of(name)))
    response.headers["Cache-Control"] = "no-store"
    return response


def shown_model(status: ModelStatus) -> Model:
    """A model as answers have it."""
    state = status.state
    return {
        "name": status.name,
        "default": status.default,
        "current": status.current.version,
        "previous": state.previous if state is not None else None,
        "candidate": state.candidate if state is not None else None,
        "share": state.share if state is not None else 0,
        "shadow": state.shadow if state is not None else 0,
        "versions": [_version(version) for version in status.versions],
    }


def _version(status: VersionStatus) -> Version:
    about = status.description
    body: Version = {
        "version": status.version.version,
        "role": status.role,
        "task": about.task if about is not None else None,
        "digests": [{"digest": digest, "precision": precision} for digest, precision in status.digests.items()],
        "licence": about.licence if about is not None else None,
        "provenance": dict(about.provenance) if about is not None else {},
        "input": {"width": about.width, "height": about.height} if about is not None else None,
        "labels": about.labels if about is not None else None,
        "workers": status.workers,
        "queued": status.queued,
        "bulk_queued": status.bulk_queued,
        "async_queued": status.async_queued,
        "mean_service_ms": status.mean_service_ms,
    }
    if about is not None and about.min_score is not None and about.max_objects is not None:
        body["objects"] = {"min_score": about.min_score, "most": about.max_objects}
    return body
