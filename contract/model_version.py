"""What names a model: its name, and which version of it. Queues, registry entries and answers belong to a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from contract.model_name import NAME, VERSION

FIRST_VERSION = "1"  # of a manifest that names none


@dataclass(frozen=True, slots=True, order=True)
class ModelVersion:
    """One version of a model; its variants (int8, fp32) are told apart by digests only."""

    name: str
    version: str = FIRST_VERSION

    @property
    def key(self) -> str:
        """Its name in Redis' keys and in queues' names.

        That of the first version is the model's name alone, as all were before there were versions, so that processes
        of both kinds find the same jobs (docs/decisions/0014).
        """
        return self.name if self.version == FIRST_VERSION else str(self)

    @classmethod
    def from_key(cls, key: str) -> Self:
        """The version that ``key`` names; of what somebody else has written there, whatever comes out."""
        name, _, version = key.partition("@")
        return cls(name, version or FIRST_VERSION)

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class WantedModel:
    """What a caller asks for: a name, whose current version is meant, or a certain version of it."""

    name: str
    version: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name`` or ``name@version``.

        Raises:
            ValueError: it is neither.
        """
        name, at, version = text.partition("@")
        if not NAME.fullmatch(name) or (at and not VERSION.fullmatch(version)):
            raise ValueError("a model is named as name or name@version")
        return cls(name, version if at else None)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"
