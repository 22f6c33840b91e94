"""What every answer tells browsers: what it may load, who may embed it, and that TLS stays.

No page has inline scripts or styles, so no policy allows any. A page that needs another than ``PAGE_POLICY`` states it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

from api.core.host_names import LOOPBACK, is_address, name_in

if TYPE_CHECKING:
    from flask import Response

YEAR_S = 31_536_000
CLOSED = "frame-ancestors 'none'; base-uri 'none'"
DATA_POLICY = f"default-src 'none'; form-action 'none'; {CLOSED}"  # JSON, files: nothing that is shown loads anything
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    f"form-action 'self'; {CLOSED}"
)

# "same-origin", not "no-referrer": with that one browsers say "Origin: null" in our own pages' forms. Other origins are
# told nothing by either.
FOR_ALL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
USED_BY_NO_PAGE = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "usb")
PERMISSIONS = ", ".join(f"{name}=()" for name in USED_BY_NO_PAGE)


def add_security_headers(response: Response) -> Response:
    headers = response.headers
    page = response.mimetype == "text/html"
    headers.setdefault("Content-Security-Policy", PAGE_POLICY if page else DATA_POLICY)
    for name, value in FOR_ALL.items():
        headers.add(name, value)
    if page:
        headers.add("Permissions-Policy", PERMISSIONS)
    environ = request.environ
    if environ["wsgi.url_scheme"] == "https" and _is_public_name(environ.get("HTTP_HOST", "")):
        headers.add("Strict-Transport-Security", f"max-age={YEAR_S}")
    return response


def _is_public_name(host: str) -> bool:
    """Whether browsers heed HSTS for it: not for addresses; and on loopback it would bind whatever else runs there."""
    name = name_in(host)
    return name is not None and not is_address(name) and name.rpartition(".")[2] != LOOPBACK
