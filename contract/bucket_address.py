"""What IMAGE_STORE says: a folder, or where in which bucket of an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

Scheme = Literal["s3", "gs", "az"]
FORM = "must be a folder, or s3://, gs:// or az:// with a bucket's name and perhaps a prefix, as s3://pictures/site-1"
_URL = re.compile(r"[A-Za-z][\w+.-]*:")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_PART = re.compile(r"(?!\.+$)[\w.-]+", re.ASCII)
_ENDPOINT = re.compile(r"https?://[\w.\[\]:-]+(/[\w./-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A bucket (in Azure's words a container) and the prefix of all names in it, without slashes around."""

    scheme: Scheme
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, place: str) -> BucketAddress | None:
        """None if ``place`` is a folder.

        Raises:
            ValueError: it is neither.
        """
        if not _URL.match(place):
            return None
        scheme, _, rest = place.partition("://")
        bucket, *parts = rest.rstrip("/").split("/")
        if scheme not in get_args(Scheme) or not _BUCKET.fullmatch(bucket) or not all(map(_PART.fullmatch, parts)):
            raise ValueError(FORM)
        return cls(cast("Scheme", scheme), bucket, "/".join(parts))


def checked_place(value: Any) -> str:
    """Raises ValueError: neither a folder nor a bucket can be meant."""
    place = str(value)
    BucketAddress.parse(place)
    return place


def checked_endpoint(url: str) -> str:
    """Raises ValueError: nothing can be asked there. Credentials don't belong into it."""
    if url and not _ENDPOINT.fullmatch(url):
        raise ValueError("must be http:// or https://, a host, and perhaps a port and a path")
    return url
