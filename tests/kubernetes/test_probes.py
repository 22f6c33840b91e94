"""What the pods of the overlay `kind` run, on this machine, with what they are told and asked by their own probes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests

from contract.redis_users import API, WORKER
from tests.kubernetes.manifests import KUBERNETES, ROOT, environment, pods, seconds
from tests.support.stack import free_port
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kubernetes.conftest import SecretRedis

pytestmark = pytest.mark.long

KIND = KUBERNETES / "overlays" / "kind"
DOCKERFILES = {API: "api/Dockerfile", WORKER: "model/Dockerfile"}


class Pod:
    """One side's command in its pod's environment, but for the places that are this machine's."""

    def __init__(self, side: str, redis: SecretRedis, folder: Path) -> None:
        self.side = side
        told = {name: value.replace("/app/data", str(folder)) for name, value in environment(KIND, side).items()}
        self.port = free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            **told,
            "IMAGE_STORE": str(folder / "uploads"),
            "COPIES_DIR": str(folder / "copies"),
            "FEEDBACK_DIR": str(folder / "feedback"),
            "REDIS_URL": f"unix://{side}@{redis.socket}",
            "REDIS_PASSWORD_FILE": str(redis.password_file(side)),
        }
        self._probes: dict[str, Any] = pods(KIND)[side]["spec"]["containers"][0]
        command = re.findall(r"^CMD (\[.*\])$", (ROOT / DOCKERFILES[side]).read_text(), re.MULTILINE)[0]
        self.process = self._run(json.loads(command))

    def says_yes(self, probe: str) -> bool:
        """Whether a probe of this kind succeeds, as a kubelet asks it."""
        asked = self._probes[f"{probe}Probe"]
        if "exec" in asked:
            return self._run(asked["exec"]["command"]).wait(WAIT_S) == 0
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}{asked['httpGet']['path']}", timeout=WAIT_S)
        except requests.ConnectionError:
            return False
        return answer.ok

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        program = {"python": [sys.executable], "gunicorn": [sys.executable, "-m", "gunicorn"]}[command[0]]
        return subprocess.Popen(
            [*program, *command[1:]],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def running(side: str, redis: SecretRedis, folder: Path) -> Iterator[Pod]:
    pod = Pod(side, redis, folder)
    try:
        yield pod
    finally:
        pod.process.kill()
        pod.process.wait(WAIT_S)


def test_probes_say_what_the_manifests_take_them_to_say(secret_redis, tmp_path):
    """No worker, a worker, no Redis: the API is sent requests only in between, and nobody is started again."""
    secret_redis.start(API, WORKER)
    with ExitStack() as stack:
        api = stack.enter_context(running(API, secret_redis, tmp_path))
        eventually(lambda: api.says_yes("startup"), "the API has started")
        assert not api.says_yes("readiness")

        worker = stack.enter_context(running(WORKER, secret_redis, tmp_path))
        eventually(lambda: worker.says_yes("startup"), "the worker has started")
        eventually(lambda: api.says_yes("readiness"), "the API is ready")
        with (ROOT / "tests/pictures/chelsea.jpg").open("rb") as picture:
            answer = requests.post(f"http://127.0.0.1:{api.port}/predict", files={"file": picture}, timeout=WAIT_S)
        assert answer.json()["prediction"] == "Egyptian_cat"

        secret_redis.stop()
        eventually(lambda: not api.says_yes("readiness"), "the API is not ready without Redis")
        assert api.says_yes("liveness")
        assert not worker.says_yes("readiness")
        assert worker.process.poll() is None

        secret_redis.start()
        eventually(lambda: worker.says_yes("readiness") and api.says_yes("readiness"), "both are back")

        for pod in (api, worker):
            pod.process.send_signal(signal.SIGTERM)
            assert pod.process.wait(seconds(pods(KIND)[pod.side])) == 0
