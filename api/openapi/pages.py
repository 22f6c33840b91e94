"""``/openapi.json``, and ``/docs`` and ``/redoc``, which show it. Their scripts come with the package ``offapi``."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, make_response, render_template, request
from werkzeug.exceptions import NotFound

from api.http.security_headers import CLOSED
from api.openapi.document import load
from api.services import Services

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

bp = Blueprint("openapi", __name__)

ASSETS = {"swagger_bundle.js": "text/javascript", "swagger_style.css": "text/css", "redoc.js": "text/javascript"}
REDOCS_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"  # the only thing that it loads from another host
AT_THE_ROOT = '"servers": [{"url": "/"}]'  # as the document begins; a proxy may show the service under a path
_DAY_S = 86_400

# Redoc fills empty style elements rule by rule, which the policy does not restrict, so only the empty style has to be
# allowed; the other hash is of the one style that it writes out. Any further inline style stays forbidden.
REDOCS_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)


@bp.get("/openapi.json")
def document() -> ResponseReturnValue:
    """This service in OpenAPI 3.1."""
    kept = current_app.extensions
    if "openapi" not in kept:  # made on the first request: most processes never get one
        kept["openapi"] = json.dumps(load(Services.current().settings))
    served_at = AT_THE_ROOT.replace("/", request.script_root or "/")
    response = Response(kept["openapi"].replace(AT_THE_ROOT, served_at, 1), content_type="application/json")
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/docs")
def docs() -> ResponseReturnValue:
    """The routes, to read and to try out (Swagger UI)."""
    return _page("docs.html", "style-src 'self'")


@bp.get("/redoc")
def redoc() -> ResponseReturnValue:
    """The routes, to read (Redoc)."""
    return _page("redoc.html", f"style-src {REDOCS_STYLES}; worker-src blob:")


@bp.get("/docs/<name>")
def asset(name: str) -> ResponseReturnValue:
    """A script or style of the two pages."""
    if name not in ASSETS:
        raise NotFound
    response = Response(_asset(name), content_type=f"{ASSETS[name]}; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={_DAY_S}"
    response.add_etag()
    return response.make_conditional(request)


@cache
def _asset(name: str) -> bytes:
    """One of offapi's files. The package is located, not imported: importing reads all of its 7 MB."""
    package = find_spec("offapi")
    assert package is not None  # noqa: S101  # it is in the lock file
    assert package.origin is not None  # noqa: S101  # it is no namespace package
    content = Path(package.origin).with_name(name).read_bytes()
    return content.replace(REDOCS_LOGO, b"static/empty.svg")  # beside the page, under whatever path that is


def _page(template: str, own_policy: str) -> Response:
    response = make_response(render_template(template))
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        f"{own_policy}; form-action 'none'; {CLOSED}"
    )
    return response
