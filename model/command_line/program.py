"""How a command line ends: its exit codes, and what ends it early."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_SOME_FAILED, EXIT_NOTHING_DONE, EXIT_INTERRUPTED = 1, 2, 130


class CannotBegin(Exception):
    """Something is in the way of all that was asked for; the message says what."""


def nothing_done(why: str) -> int:
    """Say so on standard error. Returns the exit code for it."""
    print(why, file=sys.stderr)
    return EXIT_NOTHING_DONE


def run_politely(main: Callable[[], int]) -> int:
    """A command line's ``main``, ending quietly when the reader of our output leaves (``| head``) or at Ctrl-C."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes standard output once more at exit; what is left goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SOME_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return code
