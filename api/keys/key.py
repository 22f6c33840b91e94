"""A key as the service knows it: never the secret itself, only its SHA-256."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

from api.keys.limits import Limits

SECRET_BYTES = 32  # 256 random bits: too many to guess, so one fast hash is enough to store them
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
NAME_RULE = "a name has 1 to 40 characters: a-z, 0-9, and . _ - but not as the first"
NO_LIMITS = Limits()


class Scope(StrEnum):
    """What a key opens."""

    CLASSIFY = "classify"
    JOBS = "jobs"
    FEEDBACK = "feedback"
    INSPECTIONS = "inspections"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the keys file.

    Attributes:
        digest: SHA-256 of the secret, 32 bytes.
        private: whether its answers are computed apart, so that they tell nothing of what others have sent.
    """

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    limits: Limits = NO_LIMITS
    private: bool = False


def new_secret() -> str:
    """43 characters of the URL-safe alphabet, from ``SECRET_BYTES`` random bytes."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> bytes:
    """SHA-256 of what was sent, whatever characters it has."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
