"""The keys that the service knows at the moment: those of the file, read again when it changes, and the admin's."""

from __future__ import annotations

import hmac
import logging
import time
from typing import TYPE_CHECKING

from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import BadKeyFile, read_keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

LOOKED_AT_EVERY_S = 1.0  # so a revoked key works for a second longer at most
ADMIN = "admin"  # the name of ADMIN_API_KEY's key


class Keyring:
    """One per process.

    Args:
        path: of the keys file; None if the service has none, and is open to all but for ``/admin``.
        admin_secret: of a key that a person has chosen; empty for none.

    Raises:
        BadKeyFile: as ``read_keys`` does, or a key of the file is named ``ADMIN`` beside ``admin_secret``.
    """

    def __init__(self, path: Path | None, admin_secret: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._admin = Key(ADMIN, digest_of(admin_secret), frozenset({Scope.ADMIN})) if admin_secret else None
        self._seen: object = None
        self._fault = ""  # that was logged last
        self._by_digest: dict[bytes, Key] = {}
        self._look_again_at = float("-inf")
        if path is not None:
            self._seen = self._state()
            self._by_digest = self._read(path)
            self._look_again_at = clock() + LOOKED_AT_EVERY_S

    @property
    def shut(self) -> bool:
        """Whether there is a keys file, so that nobody gets in without a key."""
        return self._path is not None

    @property
    def has_admin(self) -> bool:
        """Whether any key opens ``/admin``."""
        self._read_if_changed()
        return self._admin is not None or any(Scope.ADMIN in key.scopes for key in self._by_digest.values())

    def drawn(self, secret: str) -> Key | None:
        """The key of the file with this secret.

        It is found by its hash: how long that takes tells nothing of a secret, as nobody can choose a hash's digits.
        """
        self._read_if_changed()
        digest = digest_of(secret)
        if digest not in self._by_digest:  # it may have been made a moment ago
            self._look_again_at = float("-inf")
            self._read_if_changed()
        key = self._by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def chosen(self, secret: str) -> Key | None:
        """The admin's key, if this is its secret: one that a person has chosen, which may be guessed in many tries."""
        if self._admin is None or not hmac.compare_digest(self._admin.digest, digest_of(secret)):
            return None
        return self._admin

    def _read_if_changed(self) -> None:
        """Read the file again if it is another; one that can't be read changes nothing but the log."""
        now = self._clock()
        if self._path is None or now < self._look_again_at:
            return
        self._look_again_at = now + LOOKED_AT_EVERY_S
        state = self._state()
        if state == self._seen:
            return
        try:
            self._by_digest = self._read(self._path)
        except BadKeyFile as error:
            if str(error) != self._fault:
                log.error("the keys file was changed and can't be used, so all stays as it was: %s", error)  # noqa: TRY400  # the line says all
            self._fault = str(error)
            if isinstance(error.__cause__, OSError):
                return  # as for want of descriptors: it is looked at again although the file has not changed
        else:
            self._fault = ""
            log.info("the keys file was read again: %d keys", len(self._by_digest))
        self._seen = state

    def _read(self, path: Path) -> dict[bytes, Key]:
        keys = read_keys(path)
        if self._admin is not None and any(key.name == ADMIN for key in keys):
            raise BadKeyFile(f"a key is named {ADMIN}, as that of ADMIN_API_KEY is")
        return {key.digest: key for key in keys}

    def _state(self) -> object:
        """What differs between two states of the file; permissions too, as they may be what is wrong with it."""
        assert self._path is not None  # noqa: S101  # who calls has looked
        try:
            status = self._path.stat()
        except OSError as error:
            return error.errno
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
