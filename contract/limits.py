"""Limits that programs without settings keep too."""

from __future__ import annotations

DEFAULT_MAX_PIXELS = 50_000_000  # width x height; what such a picture costs in memory stands in docs/decisions/0027
