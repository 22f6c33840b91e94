"""``python -m tests.support.fork_server MODULE``: runs MODULE in a fork of itself, as often as ``forks`` asks.

It has imported what MODULE needs; an interpreter that starts anew takes longer for that than most tests for the rest.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass

REQUEST_BYTES = 200_000
STATUS = struct.Struct("i")
"""What a fork's status pipe carries: at its start its process ID, at its end its exit code, as subprocess has it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a fork is to become."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    streams: list[int]  # standard input, output and error


def main(module: str) -> None:
    importlib.import_module(module)
    del sys.modules[module]  # it runs as __main__
    gc.freeze()
    control = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    program = _serve(control)
    if program is not None:
        _become(program)
        sys.argv = [module, *program.arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(control: socket.socket) -> Program | None:
    """Fork for each request. Returns the program in a fork, and None in the server once nobody can ask any more."""
    statuses: dict[int, int] = {}  # by process ID, where to tell of a fork's end
    ended, ends = os.pipe()
    os.set_blocking(ends, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(ends)
    while True:
        ready, _, _ = select.select([control.fileno(), ended], [], [])
        if ended in ready:
            os.read(ended, 1000)
            for pid, status in list(statuses.items()):
                found, how = os.waitpid(pid, os.WNOHANG)
                if found:
                    _tell(status, os.waitstatus_to_exitcode(how))
                    os.close(statuses.pop(pid))
        if control.fileno() in ready:
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, 4)
            if not request:
                return None
            *streams, status = descriptors
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for kept in (*statuses.values(), status, ended, ends, control.detach()):
                    os.close(kept)
                return Program(**json.loads(request), streams=streams)
            statuses[pid] = status
            _tell(status, pid)
            for stream in streams:
                os.close(stream)


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):  # whoever started it has gone
        os.write(status, STATUS.pack(number))


def _become(program: Program) -> None:
    for number, stream in enumerate(program.streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environment)


if __name__ == "__main__":
    main(sys.argv[1])
