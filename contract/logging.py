"""One log format for every process, on standard error."""

from __future__ import annotations

import logging


def set_up_logging(level: str) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
