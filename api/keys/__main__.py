"""``python -m api.keys``: make, list, rotate and revoke keys. A running service follows within a second."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from api.keys.key import NAME, NAME_RULE, Key, digest_of, new_secret
from api.keys.key_file import (
    BadKeyFile,
    known_in_order,
    limit_from,
    line_of,
    read_keys,
    replace_line,
    scopes_from,
)
from api.keys.keyring import ADMIN
from api.keys.limits import LIMIT_NAMES, Limits
from contract.file_lock import locked
from contract.private_files import make_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCKED_FOR_S = 10.0
EXIT_REFUSED = 1


class Refused(Exception):
    """The message is the one line that the person at the terminal reads."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 0 if it was done, 1 if not."""
    asked = _parser().parse_args(arguments)
    if asked.file is None:
        return _refuse("say which keys file: set API_KEYS_FILE, or give --file")
    path = Path(os.path.realpath(asked.file))  # a link's own place would get a file that nobody else reads
    try:
        if asked.act is _new:
            make_folder(path.parent)  # keys may be made before the first start
        # Who only reads needs no lock, and may be where nothing can be written.
        lock = locked(path.with_name(f".{path.name}.lock"), wait_s=LOCKED_FOR_S) if asked.act is not _list else None
        with lock or nullcontext():
            asked.act(path, asked)
    except BadKeyFile as error:
        return _refuse(f"{asked.file}: {error}")
    except Refused as error:
        return _refuse(str(error))
    except TimeoutError:
        return _refuse(f"{asked.file} is being changed by somebody else")
    except OSError as error:
        return _refuse(f"{asked.file} can't be changed: {error.strerror or error}")
    return 0


def _new(path: Path, asked: argparse.Namespace) -> None:
    if not NAME.fullmatch(asked.name):
        raise Refused(NAME_RULE)
    if asked.name == ADMIN:
        raise Refused(f"the name {ADMIN} is that of ADMIN_API_KEY: beside it the service would not take the file")
    if any(key.name == asked.name for key in _known(path)):
        raise Refused(f"there is a key named {asked.name} already: rotate or revoke it")
    try:
        scopes = scopes_from([word for words in asked.scope for word in words.split(",")])  # as the file has them
    except ValueError as error:
        raise Refused(str(error)) from None
    limits = Limits(**{name: getattr(asked, name) for name in LIMIT_NAMES})
    secret = new_secret()
    key = Key(asked.name, digest_of(secret), scopes, limits, asked.private)
    replace_line(path, key.name, line_of(key))
    print(secret)


def _rotate(path: Path, asked: argparse.Namespace) -> None:
    key = _named(path, asked.name)
    secret = new_secret()
    replace_line(path, key.name, line_of(replace(key, digest=digest_of(secret))))
    print(secret)


def _revoke(path: Path, asked: argparse.Namespace) -> None:
    replace_line(path, _named(path, asked.name).name, None)


def _list(path: Path, _asked: argparse.Namespace) -> None:
    for key in _known(path):
        name, _, *rest = line_of(key).split()
        print(name, *rest)


def _known(path: Path) -> tuple[Key, ...]:
    return read_keys(path) if path.exists() else ()


def _named(path: Path, name: str) -> Key:
    for key in _known(path):
        if key.name == name:
            return key
    raise Refused(f"there is no key named {name}")


def _refuse(message: str) -> int:
    print(message, file=sys.stderr)
    return EXIT_REFUSED


def _limit(word: str) -> int:
    try:
        return limit_from(word)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    named = os.environ.get("API_KEYS_FILE")
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="The keys of the API (docs/keys.md).")
    parser.add_argument(
        "--file", type=Path, default=Path(named) if named else None, help="the keys file; by default API_KEYS_FILE"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key and print it, once; the file keeps only its hash")
    new.add_argument("name", metavar="NAME", help="of whoever gets it: their jobs and limits go by it")
    new.add_argument(
        "--scope", action="append", required=True, metavar="SCOPE",
        help=f"what it opens: {', '.join(known_in_order())}; several with commas, or by another --scope",
    )  # fmt: skip
    for name in LIMIT_NAMES:
        new.add_argument(f"--{name.replace('_', '-')}", type=_limit, metavar="N", help="in place of the setting's")
    new.add_argument("--private", action="store_true", help="answers tell nothing of what others have sent")
    new.set_defaults(act=_new)
    rotate = commands.add_parser("rotate", help="print another key under the same name; the old one is void")
    rotate.add_argument("name", metavar="NAME")
    rotate.set_defaults(act=_rotate)
    revoke = commands.add_parser("revoke", help="make a key void")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(act=_revoke)
    listed = commands.add_parser("list", help="names, scopes and limits")
    listed.set_defaults(act=_list)
    return parser


if __name__ == "__main__":
    sys.exit(main())
