"""The service as ``docker compose`` runs it, and its containers as the engine shows them.

``python -m tests.containers.compose`` builds the images, which the tests' own ``up --build`` then finds.
"""

from __future__ import annotations

import copy
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

from model.export.fetch import cache_folder
from model.export.networks import DEFAULTS, NETWORKS
from tests.support.stack import free_port

ROOT = Path(__file__).parents[2]
# One name for every run, so that a second run finds the images of the first, which `down` leaves.
PROJECT = "image-classifier-test"
OURS = ("--filter", f"label=com.docker.compose.project={PROJECT}")
BUILD_AND_START_WITHIN_S = 1800.0
COMMAND_WITHIN_S = 180.0


def why_not() -> str | None:
    """What is missing for containers on this machine, or None."""
    if not shutil.which("docker") or not _works("docker", "info"):
        return "no container engine answers (docker info)"
    return None if compose_command() else "neither docker compose nor docker-compose is here"


def compose_command() -> list[str]:
    """The command in COMPOSE, or Compose v2, or docker-compose; empty if there is none."""
    if named := os.environ.get("COMPOSE"):
        return shlex.split(named)
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and _works(*command, "version"):
            return command
    return []


class Compose:
    """The stack at ``http://127.0.0.1:<port>``, with volumes of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
        files = ["docker-compose.yml"]
        packages = cache_folder()
        # `make model` has fetched them: the documented offline way saves another 112 MB.
        if all((packages / NETWORKS[name].package.file_name).is_file() for name in DEFAULTS):
            self._environment["MODEL_PACKAGE"] = str(packages)
            files.append("deploy/compose.offline.yml")
        self._command = [*compose_command(), "-p", PROJECT]
        for file in files:
            self._command += ["-f", file]

    def with_override(self, file: str, **environment: str) -> Self:
        """The same project with another file on top."""
        other = copy.copy(self)
        other._command = [*self._command, "-f", file]
        other._environment = self._environment | environment
        return other

    def run(self, *arguments: str, within_s: float = COMMAND_WITHIN_S, stdin: bytes = b"") -> str:
        """Run one Compose command, which reads ``stdin``; returns what it printed.

        Raises:
            AssertionError: it failed; with the end of its output.
        """
        return _run([*self._command, *arguments], within_s, self._environment, stdin)

    def build(self) -> None:
        self.run("build", within_s=BUILD_AND_START_WITHIN_S)

    def up(self, *arguments: str) -> None:
        self.run("up", "-d", *arguments, within_s=BUILD_AND_START_WITHIN_S)

    def ids(self, service: str, *, ended: bool = False) -> list[str]:
        """Of its running containers, or of the ended ones too; asked of the engine, as Compose takes a second."""
        labels = ("--filter", f"label=com.docker.compose.service={service}")
        return docker("ps", "-q", *(["-a"] if ended else []), "--no-trunc", *OURS, *labels).split()

    def containers(self, service: str) -> list[dict[str, Any]]:
        """``docker inspect`` of each container of a service."""
        return [inspect(container) for container in self.ids(service)]


def inspect(container: str) -> dict[str, Any]:
    (found,) = json.loads(docker("inspect", container))
    assert isinstance(found, dict)
    return found


def execute(container: dict[str, Any], *command: str) -> str:
    return docker("exec", container["Id"], *command)


def processes(container: dict[str, Any]) -> list[dict[str, str]]:
    """What the kernel says of every process in it (``/proc/PID/status``), as seen from inside."""
    statuses = execute(container, "sh", "-c", "for file in /proc/[0-9]*/status; do cat $file && echo; done 2>/dev/null")
    lines = [[line.partition(":") for line in status.splitlines()] for status in statuses.strip().split("\n\n")]
    return [{name: value.strip() for name, _, value in status} for status in lines]


def assert_nobody_can_do_more_than_its_work(container: dict[str, Any], user: str) -> None:
    """An intruder finds a plain user, no capability or way to one, fewer system calls, and nothing to write to."""
    found = processes(container)

    assert len(found) > 1, "the service's and the one that looks"
    for process in found:
        assert set(process["Uid"].split() + process["Gid"].split()) == {user}, process["Name"]
        assert {int(process[f"Cap{kind}"], 16) for kind in ("Eff", "Prm", "Inh", "Bnd", "Amb")} == {0}
        assert process["Seccomp"] == "2", "a filter"
        assert process["NoNewPrivs"] == "1"
    mounts = [line.split() for line in execute(container, "cat", "/proc/1/mounts").splitlines()]
    assert ["ro" in options.split(",") for _, place, _, options, *_ in mounts if place == "/"] == [True]


def kill_on_the_host(container: dict[str, Any]) -> None:
    """Kill a container's main process without the engine: after ``docker kill`` it would not be restarted."""
    kill = f"kill -9 {container['State']['Pid']}"
    docker("run", "--rm", "--pid=host", "--user=0", "--network=none", "--entrypoint=sh", "redis:7-bookworm", "-c", kill)


def left_over() -> list[str]:
    """Containers, networks and volumes of the project that still exist."""
    listings = (("ps", "-aq"), ("network", "ls", "-q"), ("volume", "ls", "-q"))
    return [name for listing in listings for name in docker(*listing, *OURS).split()]


def log(container: str) -> str:
    """What its processes have written, to either stream."""
    return _run(["sh", "-c", f"docker logs {container} 2>&1"], COMMAND_WITHIN_S, None)


def docker(*arguments: str) -> str:
    return _run(["docker", *arguments], COMMAND_WITHIN_S, None)


def _run(command: list[str], within_s: float, environment: dict[str, str] | None, stdin: bytes = b"") -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, timeout=within_s, check=False, capture_output=True, input=stdin
    )
    output, errors = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{shlex.join(command)}: {output[-3000:]}{errors[-3000:]}"
    return output


def _works(*command: str) -> bool:
    return subprocess.run(command, timeout=COMMAND_WITHIN_S, check=False, capture_output=True).returncode == 0


if __name__ == "__main__":
    Compose(free_port()).build()
