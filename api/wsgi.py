"""What gunicorn serves: ``gunicorn --config python:api.gunicorn_conf api.wsgi:app``."""

from __future__ import annotations

import sys

from api.app import create_app
from api.gunicorn_conf import shared_numbers
from api.services import Services
from api.settings import Settings
from contract.errors import BackendDown
from contract.logging import log_with_others, set_up_logging
from contract.settings import EXIT_BAD_SETTINGS, load_settings

_settings = load_settings(Settings)
set_up_logging(_settings.log_level, _settings.log_messages_per_s)
log_with_others("gunicorn.error")
_services = Services.connect(_settings)
_services.tighten_folders()
try:
    _services.links.prepare()
except BackendDown as error:
    print(error.cause, file=sys.stderr)  # noqa: T201
    raise SystemExit(EXIT_BAD_SETTINGS) from error
_services.retention.start()
app = create_app(_services, shared_numbers)
