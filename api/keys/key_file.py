"""The keys file: one key a line, easy to read, to compare and to keep in a secret store.

```
# name    SHA-256 of the key    scopes    limits of its own
camera-1  9f86d081884c7d65...   classify,jobs  requests_per_minute=60 mb_per_day=2000 private
```
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from api.keys.key import NAME, NAME_RULE, Key, Scope
from api.keys.limits import LIMIT_NAMES, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = "# name, SHA-256 of the key, scopes, limits (docs/keys.md); written by: python -m api.keys\n"
MOST_BYTES = 4_000_000  # some 20,000 keys: it is read in one go, between two requests
DIGEST_DIGITS = 64
PRIVATE = "private"
PLAIN = re.compile("[a-z_]{1,20}")  # no key is so short and so plain
LARGEST_LIMIT = 1_000_000_000


class BadKeyFile(Exception):
    """The message says which line is wrong, and never quotes a hash or what may be a key."""


def read_keys(path: Path) -> tuple[Key, ...]:
    """All keys of the file, in its order.

    Raises:
        BadKeyFile: it can't be read, others on this machine can read it, or a line is wrong or there twice.
    """
    return parse(_text(path))


def parse(text: str) -> tuple[Key, ...]:
    """The keys in a file's text.

    Raises:
        BadKeyFile: a line is wrong, or a name or a key is there twice.
    """
    found: list[Key] = []
    names: dict[str, int] = {}
    digests: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not _says_something(line):
            continue
        try:
            key = _key(line.split())
        except ValueError as error:
            raise BadKeyFile(f"line {number}: {error}") from None
        if key.name in names:
            raise BadKeyFile(f"line {number}: the name {key.name} is in line {names[key.name]} already")
        if key.digest in digests:
            raise BadKeyFile(f"line {number}: the key of {key.name} is in line {digests[key.digest]} already")
        names[key.name] = digests[key.digest] = number
        found.append(key)
    return tuple(found)


def line_of(key: Key) -> str:
    """The key as a line of the file, without its end."""
    limits = [f"{name}={value}" for name, value in asdict(key.limits).items() if value is not None]
    scopes = ",".join(sorted(key.scopes))
    return " ".join([key.name, key.digest.hex(), scopes, *limits, *([PRIVATE] if key.private else [])])


def replace_line(path: Path, name: str, line: str | None) -> None:
    """Put ``line`` in the place of the line of ``name``, or at the end if there is none; None deletes it.

    What else is in the file stays as it is, comments too. Readers see the file as before or as after.

    Raises:
        BadKeyFile: as ``read_keys`` does; the file is not changed.
        OSError: it can't be written.
    """
    text = _text(path) if path.exists() else HEADER
    parse(text)
    lines = text.splitlines()
    at = next((n for n, old in enumerate(lines) if _says_something(old) and old.split()[0] == name), len(lines))
    lines[at : at + 1] = [] if line is None else [line]
    text = "".join(f"{each}\n" for each in lines)
    parse(text)
    _write(path, text)


def _text(path: Path) -> str:
    try:
        with open(path, "rb", opener=_open_at_once) as file:  # Path.open takes no opener
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadKeyFile("it is not a file")
            if status.st_mode & stat.S_IRWXO:
                raise BadKeyFile(f"others on this machine can read or write it: chmod o-rwx {path}")
            if status.st_size > MOST_BYTES:
                raise BadKeyFile(f"it has more than {MOST_BYTES} bytes")
            return file.read(MOST_BYTES + 1).decode()
    except OSError as error:
        raise BadKeyFile(f"it can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadKeyFile("it is not a text in UTF-8") from error


def _open_at_once(path: str, flags: int) -> int:
    """A pipe would be waited for, and all requests of the process with it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _write(path: Path, text: str) -> None:
    mode, owner = 0o600, None
    with suppress(FileNotFoundError):
        status = path.stat()
        mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False) as file:
        try:
            os.fchmod(file.fileno(), mode)
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), *owner)  # the service's user must be able to read it
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key(words: Sequence[str]) -> Key:
    """Raises ValueError."""
    if len(words) < 3:  # noqa: PLR2004  # as the next line says
        raise ValueError("it needs a name, the SHA-256 of the key, and scopes")
    name, digest, scopes, *options = words
    if not NAME.fullmatch(name):
        raise ValueError(NAME_RULE)
    if len(digest) != DIGEST_DIGITS or not set(digest) <= set("0123456789abcdef"):
        raise ValueError(f"the second word must be the key's SHA-256, {DIGEST_DIGITS} lower-case hexadecimal digits")
    limits: dict[str, int] = {}
    private = False
    for option in options:
        kind, _, value = option.partition("=")
        if option == PRIVATE and not private:
            private = True
        elif kind in LIMIT_NAMES and kind not in limits:
            limits[kind] = limit_from(value)
        else:
            known = ", ".join([*LIMIT_NAMES, PRIVATE])
            raise ValueError(f"{_shown(kind)} does not exist, or is there twice; there are {known}")
    return Key(name, bytes.fromhex(digest), scopes_from(scopes.split(",")), Limits(**limits), private)


def scopes_from(words: Sequence[str]) -> frozenset[Scope]:
    """Raises ValueError: one does not exist, or is there twice, or there is none."""
    known = known_in_order()
    for word in words:
        if word not in known:
            raise ValueError(f"there is no scope {_shown(word)}; there are {', '.join(known)}")
    if len(set(words)) < len(words):
        raise ValueError("a scope is there twice")
    return frozenset(Scope(word) for word in words)


def _shown(word: str) -> str:
    """A word in the place of a known one: quoted if it can't be a key that somebody has put there."""
    return repr(word) if PLAIN.fullmatch(word) else "of that name (which is not shown: it may be a key)"


def known_in_order() -> list[str]:
    return [scope.value for scope in Scope]


def limit_from(word: str) -> int:
    """Raises ValueError: it is no whole number from 1 to ``LARGEST_LIMIT``."""
    if not re.fullmatch("[0-9]{1,10}", word) or not 1 <= int(word) <= LARGEST_LIMIT:
        raise ValueError(f"a limit is a whole number from 1 to {LARGEST_LIMIT}")
    return int(word)
