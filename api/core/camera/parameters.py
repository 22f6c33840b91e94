"""What a request may say of the picture that is to be taken; nothing else of it reaches the camera."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from api.core.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("jpeg", "png", "webp", "bmp", "tiff")
LONGEST_EXPOSURE_US = 60_000_000
LONGEST_TIMEOUT_MS = 60_000
BEST_QUALITY = 100

_WHOLE = re.compile("[0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class CameraParameters:
    """As the camera's adapter calls them; what is None is left to the camera's address, and to the camera.

    Attributes:
        exposure_time_us: 1 to ``LONGEST_EXPOSURE_US`` microseconds.
        timeout_ms: how long the adapter itself waits for the camera, 1 to ``LONGEST_TIMEOUT_MS``.
        format: one of ``FORMATS``.
        quality: of a JPEG, 1 to 100.
    """

    exposure_time_us: int | None = None
    timeout_ms: int | None = None
    format: str | None = None
    quality: int | None = None

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """Read them among a request's other parameters.

        Raises:
            InvalidParameter: one is out of its range, or no number.
        """
        return cls(
            exposure_time_us=_whole(texts, "exposure_time_us", LONGEST_EXPOSURE_US),
            timeout_ms=_whole(texts, "timeout_ms", LONGEST_TIMEOUT_MS),
            format=_format(texts),
            quality=_whole(texts, "quality", BEST_QUALITY),
        )

    def as_query(self) -> dict[str, str]:
        """Those that are set, by the names that the camera's adapter knows."""
        named = {
            "exposure_time_us": self.exposure_time_us,
            "timeout_ms": self.timeout_ms,
            "format": self.format,
            "quality": self.quality,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


def _whole(texts: Mapping[str, str], name: str, most: int) -> int | None:
    text = texts.get(name)
    if text is None:
        return None
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= most:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {most}")
    return int(text)


def _format(texts: Mapping[str, str]) -> str | None:
    text = texts.get("format")
    if text is not None and text not in FORMATS:
        raise InvalidParameter(f"format must be one of {', '.join(FORMATS)}")
    return text
