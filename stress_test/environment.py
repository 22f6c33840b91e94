"""What a service that is measured inherits: nothing that changes it but what the measurement sets."""

from __future__ import annotations

import os

from api.settings import Settings as ApiSettings
from local.settings import Settings as LocalSettings
from model.settings import Settings as WorkerSettings

SETTINGS = {
    *(name.upper() for kind in (ApiSettings, WorkerSettings, LocalSettings) for name in kind.model_fields),
    "GUNICORN_CMD_ARGS",  # gunicorn's own, which outdoes the API's
}


def environment_with(**settings: str) -> dict[str, str]:
    """This process's environment, of the service's settings none but ``settings``: a shell's ``BATCH_MAX`` stays out.

    The settings' names are read in either case, so they are dropped in either.
    """
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in SETTINGS}
    return inherited | settings
