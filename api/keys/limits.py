"""What one key may use; a part that is None follows the service's setting of the same name."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests, and megabytes (1,000,000 bytes) received, in a minute and in a day; 1 or more."""

    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    mb_per_minute: int | None = None
    mb_per_day: int | None = None


LIMIT_NAMES = tuple(field.name for field in fields(Limits))
