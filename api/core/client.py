"""Who waits for an answer, as far as the service without HTTP needs to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Client:
    """``sender`` names whom the bounds of a sender hold for; many connections may have the same."""

    sender: str
