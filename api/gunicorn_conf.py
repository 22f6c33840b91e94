"""How gunicorn runs the API; read by ``gunicorn --config python:api.gunicorn_conf``.

Why gevent: docs/decisions/0001-gevent-for-waiting-requests.md.
"""

from __future__ import annotations

from api.settings import Settings
from contract.settings import load_settings

_settings = load_settings(Settings)

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "gevent"
worker_connections = (
    2 * _settings.max_in_flight
)  # requests over the limit are refused in words, not left in the backlog
timeout = 60  # gunicorn's watchdog of a process that no longer yields, not a request's deadline
graceful_timeout = int(_settings.request_timeout_s) + 5  # a request that is waiting for its answer still gets it
keepalive = 5  # an idle connection is waited for when the API stops
control_socket_disable = True  # nobody uses it, and a read-only container has no place for its socket
loglevel = _settings.log_level.lower()
