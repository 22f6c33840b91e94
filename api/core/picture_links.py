"""Links to stored pictures that whoever has got an answer may follow, and nobody else, for a while."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, NamedTuple

from api.core.errors import LinkExpired, LinkNeeded
from api.core.link_secret import NoLinkSecret
from contract.errors import RETRY_LATER_S, BackendDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.core.link_secret import LinkSecret

EXPIRES = re.compile(r"[1-9][0-9]{0,10}")  # in just one way, so that a link can't be written in two
ROUNDED_TO_S = 60
LINK_NEEDED = "this picture is for who has a link to it: answers have one in `display`"
PURPOSE = b"display"  # so that no other signature with the same secret is one of these


class Signature(NamedTuple):
    """What makes an address a link: until when, in Unix seconds, and who says so."""

    expires: int
    signature: str


class PictureLinks:
    """Signs and checks; HMAC-SHA256 over the picture's name and the time, with a secret that all processes share.

    Args:
        ttl_s: how long a link is good for, in seconds.
    """

    def __init__(self, secret: LinkSecret, ttl_s: int, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._ttl_s = ttl_s
        self._clock = clock

    def sign(self, picture: str) -> Signature:
        """A link for ``ttl_s`` seconds and up to a minute: within one the same, so that a browser asks once.

        Raises:
            BackendDown: there is no secret, and none can be made.
        """
        expires = math.ceil((self._clock() + self._ttl_s) / ROUNDED_TO_S) * ROUNDED_TO_S
        return Signature(expires, self._signature(picture, str(expires)))

    def left_s(self, picture: str, expires: str, signature: str) -> int:
        """How long a link is good for from now on, in whole seconds, at least 1.

        Raises:
            LinkNeeded: it is not one of ours.
            LinkExpired: it was.
            BackendDown: as ``sign``.
        """
        ours = self._signature(picture, expires)
        genuine = hmac.compare_digest(ours.encode(), signature.encode("utf-8", "replace"))
        if not (genuine and EXPIRES.fullmatch(expires)):
            raise LinkNeeded(LINK_NEEDED)
        left_s = int(expires) - int(self._clock())
        if left_s <= 0:
            raise LinkExpired("this link has expired; send the picture again to get another")
        return left_s

    def _signature(self, picture: str, expires: str) -> str:
        message = b"\n".join((PURPOSE, picture.encode("utf-8", "replace"), expires.encode("utf-8", "replace")))
        return urlsafe_b64encode(hmac.digest(self._key(), message, hashlib.sha256)).rstrip(b"=").decode()

    def _key(self) -> bytes:
        try:
            return self._secret.key
        except NoLinkSecret as error:
            why = "links to pictures can't be signed at the moment"
            raise BackendDown(why, RETRY_LATER_S, cause=str(error)) from error
