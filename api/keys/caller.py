"""Who sent a request, once its key was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.sender_jobs import OF_A_KEY

if TYPE_CHECKING:
    from api.keys.key import Key, Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """A sender.

    Attributes:
        address: as ``api.core.sender_names.name_of`` writes it.
        key: None for one who is anonymous.
    """

    address: str
    key: Key | None = None

    @property
    def sender(self) -> str:
        """Whom the bounds hold for: a key, from wherever it is used, or an address."""
        return self.address if self.key is None else f"{OF_A_KEY}{self.key.name}"

    def may(self, scope: Scope) -> bool:
        """Whether its key has the scope."""
        return self.key is not None and scope in self.key.scopes
