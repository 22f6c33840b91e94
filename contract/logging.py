"""One log format for every process, on standard error: a line for each message, and a bound on how many there are."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.settings import LogFormat

CONTROL = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
ESCAPED = {code: repr(chr(code))[1:-1] for code in CONTROL}


def set_up_logging(level: str, messages_per_s: int, log_format: LogFormat = "text") -> None:
    """Log to standard error from ``level`` on, at most ``messages_per_s`` messages a second."""
    logging.basicConfig(level=level, force=True)
    (handler,) = logging.getLogger().handlers
    handler.setFormatter(_formatter(log_format))
    handler.addFilter(RateLimit(messages_per_s))


def log_with_others(name: str) -> None:
    """Let a library's logger with a handler of its own write as all others do, within the same bound."""
    logger = logging.getLogger(name)
    logger.handlers.clear()
    logger.propagate = True


def log_apart(name: str, messages_per_s: int, log_format: LogFormat) -> None:
    """Let a logger write as all others do, but within a bound of its own: it takes none of their messages' room."""
    logger = logging.getLogger(name)
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(log_format))
    handler.addFilter(RateLimit(messages_per_s))
    logger.handlers[:] = [handler]
    logger.propagate = False


def _formatter(log_format: LogFormat) -> logging.Formatter:
    return JsonLine() if log_format == "json" else OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s")


class OneLine(logging.Formatter):
    """Escapes control characters: a sender's line break in a path must not begin a line that looks like the log's own.

    A traceback has its lines below the message.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        return super().formatMessage(record).translate(ESCAPED)


class JsonLine(logging.Formatter):
    """An object in a line, with a traceback in it; what a message names by words in brackets has fields of its own."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record.args, Mapping):
            line |= {name: value for name, value in record.args.items() if name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class RateLimit(logging.Filter):
    """Lets so many messages of a second pass; the first after those left out says how many they were."""

    def __init__(self, messages_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._messages_per_s = messages_per_s
        self._clock = clock
        self._second = 0
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self._messages_per_s:
            self._left_out += 1
            return False
        self._passed += 1
        if self._left_out:
            record.msg = f"({self._left_out} messages left out) {record.msg}"
            self._left_out = 0
        return True
