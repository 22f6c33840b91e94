"""What gunicorn serves: ``gunicorn --config python:api.gunicorn_conf api.wsgi:app``."""

from __future__ import annotations

import logging

from api.app import create_app
from api.gunicorn_conf import shared_numbers
from api.http.request_log import LOGGER
from api.services import Services
from api.settings import Settings
from contract.logging import log_apart, log_with_others, set_up_logging
from contract.settings import load_settings

_settings = load_settings(Settings)
set_up_logging(_settings.log_level, _settings.log_messages_per_s, _settings.log_format)
log_with_others("gunicorn.error")
log_apart(LOGGER, _settings.request_log_per_s, _settings.log_format)
logging.getLogger(LOGGER).disabled = not _settings.request_log
_services = Services.connect(_settings)
_services.tighten_folders()
_services.retention.start()
app = create_app(_services, shared_numbers)
