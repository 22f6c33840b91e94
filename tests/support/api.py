"""The API as gunicorn runs it, for tests that put scripted workers behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import psutil
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.scripted_worker import GIF
from tests.support.stack import ROOT, free_port
from tests.support.workers import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Api:
    """Runs while the context lasts; ``environment`` is added to its settings."""

    def __init__(self, redis_url: str, folder: Path, *, processes: int, **environment: str) -> None:
        self._expected_processes = processes
        self.folder = folder
        port = free_port()
        self.address = ("127.0.0.1", port)
        certificate = environment.get("TLS_CERT_FILE")
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        self._verify = certificate or True
        settings = {
            **os.environ,
            "REDIS_URL": redis_url,
            "UPLOAD_DIR": str(folder / "uploads"),
            "COPIES_DIR": str(folder / "copies"),
            "FEEDBACK_DIR": str(folder),
            "PORT": str(port),
            "WEB_CONCURRENCY": str(processes),
            **environment,
        }
        with (folder / "api.log").open("ab") as log:
            self._gunicorn = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--config", "python:api.gunicorn_conf", "api.wsgi:app"],
                env=settings, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def __enter__(self) -> Self:
        try:
            eventually(self._ready, "the API serves")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._gunicorn.send_signal(signal.SIGTERM)
        self._gunicorn.wait(WAIT_S)

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self._gunicorn.pid).children()

    @contextmanager
    def answered_by(self, process: psutil.Process) -> Iterator[None]:
        """The others stand still meanwhile."""
        others = [other for other in self.processes() if other != process]
        for other in others:
            other.suspend()
        try:
            yield
        finally:
            for other in others:
                other.resume()

    def predict(self, picture: str) -> int:
        """Send one; scripted workers read a picture as a text, and to the API this text is a GIF."""
        file = ("photo.gif", GIF + picture.encode())
        return requests.post(
            f"{self.url}/predict", files={"file": file}, timeout=WAIT_S, verify=self._verify
        ).status_code

    def get(self, path: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", timeout=WAIT_S, verify=self._verify)

    def stats(self) -> dict[str, Any]:
        return dict(self.get("/stats").json())

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """A scrape: every series by its name and labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def in_flight(self) -> float:
        """As a scrape, which is itself in flight, sees it."""
        return self.samples()["classifier_http_requests_in_flight", frozenset()]

    def replace(self, process: psutil.Process, *, ready: bool = True) -> None:
        """Kill a process of the API, and wait until gunicorn has put another in its place, which answers.

        Args:
            ready: whether it is to have workers, too.
        """
        process.kill()
        answers = self._ready if ready else self._alive
        eventually(lambda: process not in self.processes() and answers(), "a successor answers")

    def reload(self) -> None:
        """Let gunicorn put new processes in the place of all."""
        old = self.processes()
        self._gunicorn.send_signal(signal.SIGHUP)
        eventually(lambda: not set(old) & set(self.processes()) and self._ready(), "new processes answer")

    def _ready(self) -> bool:
        return self._answers("/readyz")

    def _alive(self) -> bool:
        return self._answers("/livez")

    def _answers(self, path: str) -> bool:
        assert self._gunicorn.poll() is None
        try:
            answered = self.get(path).status_code == requests.codes.ok
        except requests.ConnectionError:
            return False
        return answered and len(self.processes()) == self._expected_processes
