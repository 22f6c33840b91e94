"""The addresses of stored pictures: links, which answers have, and who may do without one."""

from __future__ import annotations

from flask import request, url_for

from api.core.errors import LinkNeeded
from api.http.admin_key import is_admin
from api.services import Services

LINK_FIELDS = ("expires", "signature")


def address_of(picture: str) -> str | None:
    """A link to a stored picture that is good for a while; None if none is kept for that long.

    Raises:
        BackendDown: nothing can be signed at the moment.
    """
    services = Services.current()
    if services.settings.store_uploads == "none":
        return None
    return url_for("pages.display", name=picture, **services.links.sign(picture)._asdict())


def good_for(picture: str) -> int | None:
    """How long the address of the current request is good for, in seconds; None if it needs no link.

    It needs none for an operator, nor while the service is anybody's on this machine, and nobody else's.

    Raises:
        LinkNeeded: it is no link, or not to this picture.
        LinkExpired: it was one.
    """
    if any(field in request.args for field in LINK_FIELDS):
        return _left_s(picture)
    if is_admin() or Services.current().settings.is_on_loopback:
        return None
    raise LinkNeeded("this picture is for who has a link to it: answers have one in `display`")


def may_delete(picture: str) -> None:
    """Whoever has a link has sent the picture, or has been told of it by who did.

    Raises:
        LinkNeeded, LinkExpired: the current request has no link, or no good one, and is no operator's.
    """
    if not is_admin():
        _left_s(picture)


def _left_s(picture: str) -> int:
    expires, signature = (request.args.get(field, "") for field in LINK_FIELDS)
    return Services.current().links.left_s(picture, expires, signature)
