"""The environment of a service that is measured: only the measurement's own settings may change it."""

from __future__ import annotations

import os

from api.settings import Settings as ApiSettings
from contract.settings import known_variables
from local.settings import Settings as LocalSettings
from model.settings import Settings as WorkerSettings
from stress_test.senders import KEYS_VARIABLE

SETTINGS = {
    *(name for kind in (ApiSettings, WorkerSettings, LocalSettings) for name in known_variables(kind)),
    "GUNICORN_CMD_ARGS",  # gunicorn's own, which overrides the API's
    KEYS_VARIABLE,  # of another service than the one that is measured, which would refuse it
}


def environment_with(**settings: str) -> dict[str, str]:
    """This process's environment, with only ``settings`` of the service's settings: no ``BATCH_MAX`` of a shell.

    The settings' names are read in either case, so they are dropped in either.
    """
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in SETTINGS}
    return inherited | settings
