"""How gunicorn runs the API; read by ``gunicorn --config python:api.gunicorn_conf``.

Why gevent: docs/decisions/0001-gevent-for-waiting-requests.md.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from api.core.link_secret import LinkSecret, NoLinkSecret
from api.keys.key_file import BadKeyFile
from api.keys.keyring import Keyring
from api.metrics.shared_numbers import SharedNumbers
from api.settings import Settings
from contract.logging import log_with_others, set_up_logging
from contract.private_files import UMASK
from contract.settings import EXIT_BAD_SETTINGS, load_settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.http.message import Request
    from gunicorn.workers.base import Worker

os.umask(UMASK)
_settings = load_settings(Settings)

try:  # here, because gunicorn would start a process that ends at once again and again
    Keyring(_settings.api_keys_file, _settings.admin_api_key.get_secret_value())
except BadKeyFile as _error:
    _hint = "; python -m api.keys new makes one" if isinstance(_error.__cause__, FileNotFoundError) else ""
    print(f"API_KEYS_FILE={_settings.api_keys_file}: {_error}{_hint}", file=sys.stderr)  # noqa: T201
    raise SystemExit(EXIT_BAD_SETTINGS) from _error
try:  # of all its processes only one has to make it
    _ = LinkSecret(_settings.link_secret.get_secret_value(), _settings.link_secret_path).key
except NoLinkSecret as _error:
    print(_error, file=sys.stderr)  # noqa: T201
    raise SystemExit(EXIT_BAD_SETTINGS) from _error

BODY_SILENCE_S = 30.0

shared_numbers = SharedNumbers()  # before the first fork: every process of the API has the same

# A waiting request holds two descriptors, its client's and Redis'; the usual soft limit of 1024 allows half a thousand.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_needed = 4 * _settings.max_in_flight + 256
if _soft < _needed:
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (_needed if _hard == resource.RLIM_INFINITY else min(_hard, _needed), _hard)
    )

if _settings.bucket_address is not None:  # in a process of its own: what speaks to it can't be forked
    _needed_for_s = max(_settings.pictures_kept_for_s, _settings.job_ttl_s)
    _check = [sys.executable, "-m", "contract.image_store", f"--needed-for-s={_needed_for_s:.0f}"]
    if subprocess.run(_check, check=False).returncode == EXIT_BAD_SETTINGS:  # noqa: S603  of our own making
        raise SystemExit(EXIT_BAD_SETTINGS)

if _settings.pattern_dir is not None:
    from contract.patterns.pattern import BadPattern  # a service without patterns does without their code
    from contract.patterns.pattern_file import read_pattern_folder

    try:
        read_pattern_folder(_settings.pattern_dir)
    except BadPattern as _error:
        print(f"PATTERN_DIR={_settings.pattern_dir}: {_error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_BAD_SETTINGS) from _error

_certificate = None
if _settings.tls_cert_file and _settings.tls_key_file:
    from api.server.certificate import BadCertificate, Certificate  # a service without one does without its code

    certfile, keyfile = str(_settings.tls_cert_file), str(_settings.tls_key_file)  # gunicorn knows that it is HTTPS
    try:
        _certificate = Certificate(_settings.tls_cert_file, _settings.tls_key_file)
    except BadCertificate as _error:
        print(_error, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_BAD_SETTINGS) from _error


class logger_class(Logger):  # type: ignore[misc]  # noqa: N801  # the setting's name; gunicorn is not typed
    """Writes gunicorn's own messages as all others are written, those of its first process too."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        set_up_logging(_settings.log_level, _settings.log_messages_per_s, _settings.log_format)
        log_with_others("gunicorn.error")


def ssl_context(_config: Any, _default: Any) -> SSLContext:
    """What a new process serves with."""
    assert _certificate is not None  # noqa: S101  # gunicorn asks only if there is a certfile
    return _certificate.context


def on_reload(arbiter: Arbiter) -> None:
    """At a SIGHUP, before the new processes start: these serve with what the files hold by now, if it can be used."""
    if _certificate is not None:
        _certificate.renew(arbiter.log)


def pre_fork(arbiter: Arbiter, worker: Worker) -> None:
    """A new process counts where one that is no more left off."""
    worker.numbers_row = shared_numbers.assign({other.numbers_row for other in arbiter.WORKERS.values()})


def pre_request(_worker: Worker, request: Request) -> None:
    """A body that falls silent ends its request (400) instead of holding its place for ever."""
    request.unreader.sock.settimeout(BODY_SILENCE_S)


bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_concurrency
umask = UMASK
worker_class = "api.server.worker.BoundedWorker"
worker_connections = (
    2 * _settings.max_in_flight
)  # requests over the limit are refused in words, not left in the backlog
timeout = 60  # gunicorn's watchdog of a process that no longer yields, not a request's deadline
graceful_timeout = int(_settings.request_timeout_s) + 5  # a request that is waiting for its answer still gets it
forwarded_allow_ips = ",".join(map(str, _settings.trusted_proxies))  # these say whether the sender came by HTTPS
forwarder_headers = ""  # api/http/public_address.py reads the one that says under which path clients know the service
keepalive = 5  # for a request's head too; an idle connection is waited for when the API stops
control_socket_disable = True  # nobody uses it, and a read-only container has no place for its socket
loglevel = _settings.log_level.lower()
