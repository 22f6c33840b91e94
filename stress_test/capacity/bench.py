"""The arguments of every scenario."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from model.export.photos import Photos
    from stress_test.capacity.figures import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One run.

    Attributes:
        model: a bundle's folder.
        workers: the service's workers, as many as there are cores; the peer has as many, the loops as many processes.
        seconds: length of a turn; scenarios that need fewer pictures for a steady figure take half of it.
        scratch: deleted after the run.
        cache: kept between runs.
    """

    model: Path
    photos: Photos
    workers: int
    rounds: int
    seconds: float
    scratch: Path
    cache: Path

    @property
    def half_s(self) -> float:
        return self.seconds / 2

    @property
    def photo_folder(self) -> Path:
        return self.photos.files[0].parent


@dataclass(frozen=True, slots=True)
class Section(ABC):
    """What a scenario measured: raw rounds in its fields, which are the JSON report's."""

    @property
    @abstractmethod
    def targets(self) -> tuple[Target, ...]:
        """The targets of this section."""

    @abstractmethod
    def markdown(self) -> str:
        """The section as Markdown, with its heading."""
