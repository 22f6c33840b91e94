"""Settings that nobody reads: in ``.env`` each is named, in the environment only what looks like one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.settings import Settings as ApiSettings
from contract.settings import known_variables
from contract.wording import nearest
from local.parts import ALSO_OF_API, CLOUD_PREFIXES, SYSTEM, SYSTEM_PREFIXES
from local.settings import Settings
from model.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What Compose, the Makefile, the client and every program's network read, and a ``.env`` may hold.
OTHERS = {
    "MODEL_PACKAGE", "MODEL_NAMES", "OTHER_MODELS", "DOMAIN", "CERTIFICATES", "PROXY_NETWORK", "YES", "UV",
    "CLASSIFIER_KEY",
    "ALL_PROXY", "XDG_CACHE_HOME",
}  # fmt: skip
OTHERS_PREFIXES = ("PUBLIC_", "COMPOSE_", "DOCKER_", "BUILDKIT_", "PIP_", "NPM_CONFIG_")
TYPING_ERROR = 0.88  # of difflib's ratio: the environment has many variables that are not ours


def ours() -> set[str]:
    """Whatever a part of the service reads."""
    return known_variables(ApiSettings) | known_variables(WorkerSettings) | known_variables(Settings)


def remarks(in_file: Iterable[str], environment: Iterable[str]) -> Iterator[str]:
    """A sentence for each name that nobody reads.

    Args:
        in_file: the names in ``.env``.
        environment: all others.
    """
    known = ours()
    likely = {name for name in known if not name.startswith("REDIS_")}  # the queue of ``make run`` has its own
    for name in in_file:
        if not _has_reader(name, known):
            meant = nearest(name.upper(), known)
            yield f".env: nobody reads {name}" + (f": is {meant} meant?" if meant else "")
    for name in environment:
        meant = None if _has_reader(name, known) else nearest(name, likely, close=TYPING_ERROR)
        if meant:
            yield f"Nobody reads {name}, which is in the environment: is {meant} meant?"


def _has_reader(name: str, known: set[str]) -> bool:
    upper = name.upper()
    prefixes = (*SYSTEM_PREFIXES, *CLOUD_PREFIXES, *OTHERS_PREFIXES)
    return upper in known | SYSTEM | OTHERS | set(ALSO_OF_API) or upper.startswith(prefixes)
