"""Commands that go along in a pipeline that is sent anyway, so that they cost no round trip of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.client import Pipeline

Told = Callable[[Sequence[Any]], None]
"""To be called with the replies to the commands, errors among them; with none if the pipeline failed as a whole."""
SendToo = Callable[["Pipeline"], Told]
"""Adds commands at the end of a pipeline, which must be no MULTI: there one that is refused would undo the others."""


def nothing(_pipe: Pipeline) -> Told:
    return hear_nothing


def hear_nothing(_replies: Sequence[Any]) -> None:
    """What to tell who has sent nothing."""
