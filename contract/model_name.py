"""How models and their versions are named, for settings, manifests and requests alike."""

from __future__ import annotations

import re

QUEUED_AS = "tickets-"  # of a model's async jobs: one whose name began so would have a queue in common with another's
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
