"""Who waits for an answer, as far as the service without HTTP needs to know."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Client:
    """``sender`` names whom the bounds of a sender hold for; many connections may have the same.

    ``watched`` makes a context for a wait, inside which ``ClientGone`` is raised as soon as nobody is there any more to
    read the answer. By default the client is one that never goes. A ``private`` one shares nothing with other senders:
    no stored answer, no computation. ``request_id`` names its request in logs.
    """

    sender: str
    watched: Callable[[], AbstractContextManager[None]] = nullcontext
    private: bool = False
    request_id: str = ""
