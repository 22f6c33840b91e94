"""What a picture costs beside decoding and inference, in processor time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from local.folder import locked, socket_path
from local.log_files import LogFiles
from local.parts import plan
from local.queue_users import QueueUsers
from local.settings import Settings
from local.supervisor import PartDied, Supervisor
from stress_test.capacity.bench import Section
from stress_test.capacity.figures import Spread, Target
from stress_test.capacity.processes import ROLES, Role, cpu_s_by_role, service_parts
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.wrk import Load, post
from stress_test.environment import environment_with
from stress_test.errors import CannotMeasure
from stress_test.load import ROOT
from stress_test.senders import WITHOUT_KEYS, Senders
from stress_test.service import READY_WITHIN_S, free_port, health

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.parts import Part
    from stress_test.capacity.bench import Bench
    from stress_test.capacity.processes import Part as RunningPart

CONCURRENCY = 32
WARM_UP_S = 2.0
LOOK_EVERY_S = 0.1
LIMIT_MS = 2.5
WORKERS = 1


@dataclass(frozen=True, slots=True)
class Cost:
    """One turn; processor time in seconds by role."""

    load: Load
    cpu_s: dict[Role, float]

    def ms_per_picture(self, *roles: Role) -> float:
        return 1000 * sum(self.cpu_s[role] for role in roles) / max(1, self.load.answered)


@dataclass(frozen=True, slots=True)
class ControlPlane(Section):
    rounds: tuple[Cost, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        return (
            Target(
                what="control plane, CPU ms per picture, API and worker",
                limit=LIMIT_MS,
                at_least=False,
                reached=self._ms("api", "worker"),
                digits=2,
            ),
        )

    def markdown(self) -> str:
        return f"""## The control plane

The same processes as `make run` with one worker whose classifier answers at once: what is left is the work beside
decoding and inference. Processor time by the system's count, {CONCURRENCY} distinct photos at once, answer cache off.

| pictures/s | API, CPU ms per picture | worker | API and worker | queue | failed |
|-----------:|------------------------:|-------:|---------------:|------:|-------:|
| {Spread.of(cost.load.per_s for cost in self.rounds).text(0)} | {self._ms("api").text(2)} \
| {self._ms("worker").text(2)} | {self._ms("api", "worker").text(2)} | {self._ms("queue").text(2)} \
| {sum(cost.load.failed for cost in self.rounds)} |"""

    def _ms(self, *roles: Role) -> Spread:
        return Spread.of(cost.ms_per_picture(*roles) for cost in self.rounds)


def measure(bench: Bench) -> ControlPlane:
    """Raises CannotMeasure: a part of the service or wrk did not run."""
    seen: list[Cost] = []
    with service_with_one_worker(bench.scratch / "control-plane") as (url, parts):
        cost_of_a_turn(url, parts, bench.photos.files, WARM_UP_S)
        turn = partial(cost_of_a_turn, url, parts, bench.photos.files, bench.half_s)
        take_turns([lambda: seen.append(turn())], bench.rounds)
    return ControlPlane(tuple(seen))


def cost_of_a_turn(
    url: str, parts: list[RunningPart], photos: Sequence[Path], seconds: float, senders: Senders = WITHOUT_KEYS
) -> Cost:
    """Raises CannotMeasure: a part of the service or wrk did not run."""
    before = cpu_s_by_role(parts)
    load = post(f"{url}/predict", photos, concurrency=CONCURRENCY, seconds=seconds, senders=senders)
    after = cpu_s_by_role(parts)
    return Cost(load, {role: after[role] - before[role] for role in ROLES})


@contextmanager
def service_with_one_worker(
    folder: Path, *, tree: Path = ROOT, model: Path | None = None, keys: Path | None = None
) -> Iterator[tuple[str, list[RunningPart]]]:
    """The service as ``make run`` starts it, while the context lasts, its answer cache off; gives URL and processes.

    Args:
        folder: for its data and logs; not to be there yet.
        tree: the checkout whose code is run, in this environment.
        model: the bundle that the worker serves; without one its classifier answers at once.
        keys: its keys file; without one it is open.

    Raises:
        CannotMeasure: a part did not start.
    """
    path = Path() if model is None else model.resolve()
    settings = Settings(host="127.0.0.1", port=free_port(), workers=WORKERS, data_dir=folder / "data", model_path=path)
    logs = folder / "logs"
    logs.mkdir(parents=True)
    settings.queue_dir.mkdir(parents=True)
    supervisor = Supervisor(LogFiles(logs, settings.log_mb * 1_000_000, WORKERS + 2))
    environment = environment_with(RESULT_CACHE="off", **({} if keys is None else {"API_KEYS_FILE": str(keys)}))
    url = f"http://{settings.host}:{settings.port}"
    with locked(settings) as lock, socket_path(settings) as path_of_socket:
        try:
            for part in plan(settings, path_of_socket, lock, QueueUsers.make(settings), environment):
                supervisor.start(_of(tree, part if model else _with_null_worker(part)))
            _wait_until_ready(supervisor, url)
            yield url, service_parts(workers=WORKERS)
        except PartDied as error:
            raise CannotMeasure(str(error)) from error
        finally:
            supervisor.stop()


def _of(tree: Path, part: Part) -> Part:
    """Python finds modules in the folder that it is started in."""
    return replace(part, command=("env", f"--chdir={tree}", *part.command))


def _with_null_worker(part: Part) -> Part:
    if not part.name.startswith("worker"):
        return part
    return replace(part, command=(*part.command[:-1], "stress_test.capacity.null_worker"))


def _wait_until_ready(supervisor: Supervisor, url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while health(url).get("workers") != WORKERS:
        supervisor.check()
        if time.monotonic() > deadline:
            raise CannotMeasure(f"the service without a model was not ready within {READY_WITHIN_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
