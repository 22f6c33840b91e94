"""The addresses of stored pictures: links, which answers have, and who may do without one."""

from __future__ import annotations

from flask import request, url_for

from api.core.errors import KeyMissing, LinkNeeded
from api.core.picture_links import LINK_NEEDED
from api.http.caller import current_caller, identify
from api.keys.key import Scope
from api.services import Services
from api.settings import is_loopback

LINK_FIELDS = ("expires", "signature")
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix")


def address_of(picture: str) -> str | None:
    """A link to a stored picture that is good for a while; None if none is kept for that long.

    Raises:
        BackendDown: nothing can be signed at the moment.
    """
    services = Services.current()
    if services.settings.store_uploads == "none":
        return None
    signature = services.links.sign(picture)
    return url_for("pages.display", name=picture, expires=signature.expires, signature=signature.signature)


def address_for_operator(picture: str) -> str | None:
    """Where an operator sees a picture, also one that is kept with a report only; None if it is gone.

    Raises:
        BackendDown: nothing can be signed at the moment.
    """
    services = Services.current()
    if picture in services.store:
        return address_of(picture)
    return url_for("admin.picture", name=picture) if picture in services.reported else None


def good_for(picture: str) -> int | None:
    """How long the address of the current request is good for, in seconds; None if it needs no link.

    It needs none for an operator, nor while the service is anybody's on this machine, and nobody else's.

    Raises:
        LinkNeeded: it is no link, or not to this picture.
        LinkExpired: it was one.
        KeyMissing, WrongKey, TooManyWrongKeys: it is no link, and has no key that is known.
    """
    if any(field in request.args for field in LINK_FIELDS):
        return _left_s(picture)
    services = Services.current()
    anybodys_here = is_loopback(services.settings.host) and not services.keyring.shut
    if (anybodys_here and _comes_from_here()) or _is_admin():
        return None
    raise LinkNeeded(LINK_NEEDED)


def may_delete(picture: str) -> None:
    """Whoever has a link has sent the picture, or has been told of it by who did.

    Raises:
        LinkNeeded, LinkExpired: the current request has no link, or no good one, and is no operator's.
        KeyMissing, WrongKey, TooManyWrongKeys: it has no link, and no key that is known.
    """
    if any(field in request.args for field in LINK_FIELDS):
        _left_s(picture)
    elif not _is_admin():
        raise LinkNeeded(LINK_NEEDED)


def _comes_from_here() -> bool:
    """Whether whoever asks is on this machine, as far as it can be told: a proxy here speaks for others."""
    forwarded = any(name in request.headers for name in FORWARDED)
    return not forwarded and is_loopback(current_caller().address)


def _is_admin() -> bool:
    """Raises KeyMissing: nothing was sent, and the service is shut."""
    try:
        return identify().may(Scope.ADMIN)
    except KeyMissing:
        if Services.current().keyring.shut:
            raise
        return False


def _left_s(picture: str) -> int:
    expires, signature = (request.args.get(field, "") for field in LINK_FIELDS)
    return Services.current().links.left_s(picture, expires, signature)
