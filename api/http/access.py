"""Which key each route needs, in one table: a route that is not in it answers nobody.

Without a keys file all that does not need the admin's key is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import after_this_request, request

from api.core.errors import Closed, KeyNotAllowed
from api.http.caller import identify
from api.keys.key import Scope
from api.services import Services

if TYPE_CHECKING:
    from flask import Response

OPEN = frozenset[Scope]()  # no key is looked at
CLASSIFY = frozenset({Scope.CLASSIFY})
JOBS = frozenset({Scope.JOBS})
FEEDBACK = frozenset({Scope.FEEDBACK})
INSPECTIONS = frozenset({Scope.INSPECTIONS})
ADMIN = frozenset({Scope.ADMIN})

NEEDED = {
    "static": OPEN,
    "pages.show": OPEN,  # what the page does needs a key, for which it asks
    "pages.classify": CLASSIFY,
    "pages.display": OPEN,  # but for who has neither a link nor the admin's key (api/http/picture_address.py)
    "pages.delete": OPEN,  # the same
    "predict.predict": CLASSIFY,
    "infer.infer": CLASSIFY,
    "infer.infer_batch": CLASSIFY,
    "detect.detect": CLASSIFY,
    "detect.detect_batch": CLASSIFY,
    "inspections.inspect": CLASSIFY,
    "inspections.latest": INSPECTIONS | ADMIN,  # those of all senders, with their pictures
    "inspections.list_all": INSPECTIONS | ADMIN,
    "inspections.download_csv": INSPECTIONS | ADMIN,
    "inspections.picture": INSPECTIONS | ADMIN,
    "inspections.drawn": INSPECTIONS | ADMIN,
    "replaced.inference": CLASSIFY,
    "replaced.check_pattern": CLASSIFY,
    "replaced_main.main": CLASSIFY,
    "replaced_main.with_camera": CLASSIFY,
    "replaced_main.image_raw": INSPECTIONS | ADMIN,
    "replaced_main.image_draw": INSPECTIONS | ADMIN,
    "patterns.list_all": CLASSIFY | INSPECTIONS,
    "infer.labels": CLASSIFY | FEEDBACK,  # the page of reports offers them
    "models.list_all": CLASSIFY | JOBS | FEEDBACK | INSPECTIONS | ADMIN,
    "models.show": CLASSIFY | JOBS | FEEDBACK | INSPECTIONS | ADMIN,
    "open_inference.server": CLASSIFY | FEEDBACK,
    "open_inference.live": OPEN,
    "open_inference.ready": OPEN,
    "open_inference.model": CLASSIFY | FEEDBACK,
    "open_inference.model_ready": CLASSIFY | FEEDBACK,
    "open_inference.infer": CLASSIFY,
    "jobs.submit": JOBS,
    "jobs.list_own": JOBS,
    "jobs.show": JOBS,
    "jobs.cancel": JOBS,
    "feedback.show": OPEN,
    "feedback.send": FEEDBACK,
    "health.livez": OPEN,
    "health.readyz": OPEN,
    "health.health": OPEN,
    "stats.show_stats": ADMIN,
    "stats.show_metrics": ADMIN,
    "admin.show_feedback": ADMIN,
    "admin.download_csv": ADMIN,
    "admin.download_training_set": ADMIN,
    "admin.picture": ADMIN,
    "admin.usage.show": ADMIN,
    "admin.models_page.show": ADMIN,
    "admin.models_page.change": ADMIN,
    "admin.model_changes.reload": ADMIN,
    "admin.model_changes.rollback": ADMIN,
    "admin.model_changes.set_candidate": ADMIN,
    "admin.model_changes.drop_candidate": ADMIN,
    "admin.model_changes.promote": ADMIN,
    "admin.candidate_checks.begin": ADMIN,
    "admin.candidate_checks.show": ADMIN,
    "reload.reload": ADMIN,
    "openapi.document": OPEN,
    "openapi.docs": OPEN,
    "openapi.redoc": OPEN,
    "openapi.asset": OPEN,
}
"""By endpoint, the scopes of which a key needs one."""

OPERATORS_ALONE = ("admin.", "reload.")
"""Beginnings of the routes that need the admin's key even where there is no keys file."""

LISTED_BY_KEY = "jobs.list_own"
"""The route that needs any key even then."""


def require_key() -> None:
    """Let the current request in, or refuse it before anything of its body is read.

    Raises:
        KeyMissing, WrongKey, TooManyWrongKeys: as ``identify`` does.
        KeyNotAllowed: its key opens other routes.
        Closed: no key opens this one.
    """
    endpoint = request.endpoint
    if endpoint is None or request.method == "OPTIONS":  # no route, which is told later; a question about a route
        return
    needed = NEEDED[endpoint]
    if not needed:
        return
    keyring = Services.current().keyring
    if not (keyring.shut or endpoint == LISTED_BY_KEY or endpoint.startswith(OPERATORS_ALONE)):
        return
    if request.method != "POST":
        after_this_request(_keep_nowhere)
    if endpoint == LISTED_BY_KEY and not keyring.shut:
        raise Closed("jobs are listed for a key, and this service has none")
    if needed == ADMIN and not keyring.has_admin:
        raise Closed("set ADMIN_API_KEY, or make a key with the scope admin, to open this")
    caller = identify()
    if not any(caller.may(scope) for scope in needed):
        raise KeyNotAllowed(f"this key does not open this: it needs the scope {' or '.join(sorted(needed))}")


def _keep_nowhere(response: Response) -> Response:
    """A cache of several people does not know that ``X-API-Key`` is a key; refusals too are one caller's own."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response
