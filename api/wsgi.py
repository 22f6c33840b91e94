"""What gunicorn serves: ``gunicorn --config python:api.gunicorn_conf api.wsgi:app``."""

from __future__ import annotations

from api import sweeper
from api.app import create_app
from api.ledger import LEDGER
from api.services import Services
from api.settings import Settings
from contract.logs import set_up_logging
from contract.settings import load_settings

_settings = load_settings(Settings)
set_up_logging(_settings.log_level)
_services = Services.connect(_settings)
sweeper.start(_services.store, _settings.pictures_kept_for_s)
app = create_app(_services, LEDGER)
