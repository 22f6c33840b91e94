"""What an operator says of a model, in an address or in fields: checked, whoever asks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from api.core.errors import InvalidParameter
from api.http.caller import current_caller
from contract.loading import LONGEST_PATH
from contract.model_name import NAME, VERSION
from contract.model_state import WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
LONGEST_REASON = 300  # characters
SWITCHES = {"true", "false", "yes", "no", "on", "off", "null", "none"}  # what sets a flag says nothing


def check_name(name: str) -> None:
    """Raises InvalidParameter: it can't be a model's."""
    if not NAME.fullmatch(name):
        raise InvalidParameter("model must be a model's name, without a version")


def path_in(fields: Mapping[str, str]) -> str | None:
    """A bundle's, below the models' folder; None without one.

    Raises:
        InvalidParameter: it can't be one.
    """
    path = fields.get("path") or None
    if path is not None and (len(path) > LONGEST_PATH or not PATH.fullmatch(path)):
        raise InvalidParameter("path must be a bundle's below the models' folder, as in my-model or mine/my-model")
    return path


def version_in(fields: Mapping[str, str]) -> str | None:
    """None without one.

    Raises:
        InvalidParameter: it can't be one.
    """
    version = fields.get("version") or None
    if version is not None and not VERSION.fullmatch(version):
        raise InvalidParameter("version must be that of a bundle, of letters, digits and . _ -")
    return version


def per_cent(fields: Mapping[str, str], name: str) -> int:
    """0 without it.

    Raises:
        InvalidParameter: it is no whole number from 0 to 100.
    """
    text = fields.get(name, "0")
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > WHOLE:
        raise InvalidParameter(f"{name} must be a whole number from 0 to {WHOLE}, in per cent")
    return int(text)


def reason_in(fields: Mapping[str, str]) -> str:
    """Why a candidate is to be promoted without a passed check, in one line; "" if it is not.

    Raises:
        InvalidParameter: it has no words, or something that nobody sees.
    """
    reason = " ".join(fields.get("force", "").split())[:LONGEST_REASON]
    in_words = reason.isprintable() and any(map(str.isalpha, reason)) and reason.lower() not in SWITCHES
    if reason and not in_words:
        raise InvalidParameter("force must say in words why the candidate needs no passed check")
    return reason


def by_whom() -> str:
    """The name of the current request's key."""
    key = current_caller().key
    return key.name if key is not None else "unknown"
