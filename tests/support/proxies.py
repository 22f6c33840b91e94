"""nginx and Caddy as docs/proxy.md sets them up, with other files, ports and names of files, for tests through them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.missing import skip_or_fail
from tests.support.stack import ROOT
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.certificate import Pair

NAME = "pictures.example.org"
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not in everybody's PATH

_BLOCK = re.compile(r"^```(nginx|caddyfile)\n# ([^\n]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LOCATION = re.compile(r"^    location / \{\n.*?^    \}\n", re.DOTALL | re.MULTILINE)

# What the page leaves to the system: nginx' own files in a folder of the test's, and no daemon.
_NGINX = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include sites-enabled/*;
}
"""
_CADDY = """\
{{
	admin off
	auto_https disable_redirects
	skip_install_trust
	storage file_system {folder}
}}
"""


def blocks(program: str) -> dict[str, str]:
    """The configurations of the page for ``nginx`` or ``caddyfile``, by the comment in their first lines."""
    page = (ROOT / "docs" / "proxy.md").read_text()
    return {name: text for language, name, text in _BLOCK.findall(page) if language == program}


def replaced(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each of ``values`` in its place, all of which have to be there."""
    for old, new in values.items():
        assert old in text, f"docs/proxy.md has no {old!r} any more"
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(folder: Path, pair: Pair, port: int, service_port: int, way: str = "") -> Iterator[None]:
    """Listens with TLS on ``port`` while the context lasts.

    Args:
        folder: for all its files.
        way: the block that stands in place of ``location /``.
    """
    page = blocks("nginx")
    site = replaced(
        page["sites-enabled/classifier"],
        {
            "127.0.0.1:8000": f"127.0.0.1:{service_port}",
            "listen 443 ": f"listen 127.0.0.1:{port} ",
            "/etc/nginx/tls/cert.pem": str(pair.cert_file),
            "/etc/nginx/tls/key.pem": str(pair.key_file),
        },
    )
    assert _LOCATION.search(site)
    _write(folder / "sites-enabled" / "classifier", _LOCATION.sub(page[way], site) if way else site)
    _write(folder / "snippets" / "classifier.conf", page["snippets/classifier.conf"])
    _write(folder / "nginx.conf", _NGINX)
    command = [_program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with _running(command, folder, port):
        yield


@contextmanager
def caddy(folder: Path, pair: Pair, port: int, service_port: int, way: str) -> Iterator[None]:
    """As ``nginx``."""
    tls = f"https://{NAME}:{port}, https://localhost:{port} {{\n\ttls {pair.cert_file} {pair.key_file}\n"
    site = replaced(blocks("caddyfile")[way], {f"{NAME} {{\n": tls, "127.0.0.1:8000": f"127.0.0.1:{service_port}"})
    _write(folder / "Caddyfile", _CADDY.format(folder=folder) + site)
    command = [_program("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _running(command, folder, port):
        yield


def _program(name: str) -> str:
    places = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    found = shutil.which(name, path=places)
    if found is None:
        skip_or_fail(f"no {name} here: install Debian's package of that name")
    return found


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})

        def listens() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True
            return False

        try:
            eventually(listens, f"{command[0]} listens")
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT_S)
