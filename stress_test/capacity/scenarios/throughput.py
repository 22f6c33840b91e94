"""Distinct photos, every answer computed: the service beside bare loops and another server."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from stress_test.capacity import peer
from stress_test.capacity.bench import Section
from stress_test.capacity.figures import Spread, Target, ratios
from stress_test.capacity.loops import LoopRun, loop
from stress_test.capacity.processes import ROLES, Role, cpu_s_by_role, service_parts
from stress_test.capacity.rounds import take_turns
from stress_test.capacity.settling import settle
from stress_test.capacity.stock_model import stock_model
from stress_test.capacity.wrk import Load, post
from stress_test.errors import CannotMeasure
from stress_test.service import running_service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stress_test.capacity.bench import Bench

CONCURRENCIES = (1, 8, 32, 128)
MAIN = 32
BATCH = 8
SINGLE_PHOTO_ALLOWANCE_MS = 5.0
WARM_UP_S = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """One turn of the service: what wrk measured, and the processor time of each role, in seconds."""

    load: Load
    cpu_s: dict[Role, float]


@dataclass(frozen=True, slots=True)
class Throughput(Section):
    """Round by round.

    Attributes:
        service: by concurrency.
        loops: "conventional" and "own", batch 8, a process per core; with "_single", one photo at a time in one.
        peer_missing: why there is no peer; empty where there is.
        right: share of photos that the loops label as their table does.
    """

    processes: int
    service: dict[int, tuple[Served, ...]]
    loops: dict[str, tuple[LoopRun, ...]]
    peer: tuple[Load, ...]
    peer_missing: str
    right: dict[str, float]

    @property
    def targets(self) -> tuple[Target, ...]:
        at_32 = self.service_per_s(MAIN)
        peer_ratio = ratios(at_32, [load.per_s for load in self.peer]) if self.peer else None
        waits = zip(self.service[1], self.loops["own_single"], strict=True)
        return (
            Target(
                what="distinct photos, 32 at once ÷ conventional loop",
                limit=1.0,
                at_least=True,
                reached=self._over(self.loops["conventional"]),
                digits=2,
            ),
            Target(
                what="distinct photos, 32 at once ÷ our own loop",
                limit=0.85,
                at_least=True,
                reached=self._over(self.loops["own"]),
                digits=2,
            ),
            Target(
                what=f"distinct photos, 32 at once ÷ {peer.version()}",
                limit=1.15,
                at_least=True,
                reached=peer_ratio,
                digits=2,
            ),
            Target(
                what="128 at once ÷ 32 at once",
                limit=0.95,
                at_least=True,
                reached=ratios(self.service_per_s(128), at_32),
                digits=2,
            ),
            Target(
                what="one at a time: p50 less our own loop's single photo, ms",
                limit=SINGLE_PHOTO_ALLOWANCE_MS,
                at_least=False,
                reached=Spread.of(served.load.p50_ms - alone.p50_ms for served, alone in waits),
                digits=1,
            ),
        )

    def service_per_s(self, concurrency: int) -> list[float]:
        return [served.load.per_s for served in self.service[concurrency]]

    def markdown(self) -> str:
        return f"{self._throughput()}\n\n{self._latency()}\n\n{self._cpu()}"

    def _over(self, runs: tuple[LoopRun, ...]) -> Spread:
        return ratios(self.service_per_s(MAIN), [run.per_s for run in runs])

    def _throughput(self) -> str:
        rows: list[tuple[str, list[float], list[Load]]] = [
            ("conventional loop, batch 8", [run.per_s for run in self.loops["conventional"]], []),
            ("our own loop, batch 8", [run.per_s for run in self.loops["own"]], []),
            *(
                (f"this service, {number} at once", self.service_per_s(number), [seen.load for seen in served])
                for number, served in self.service.items()
            ),
        ]
        if self.peer:
            rows.append((f"{peer.version()}, 32 at once", [load.per_s for load in self.peer], list(self.peer)))
        lines = [
            "## Distinct photos",
            "",
            f"Loops run in {self.processes} processes, each on a core of its own; the service and the peer have as",
            "many workers. The answer cache is off.",
            "",
            "| who | photos/s | ÷ conventional loop | ÷ our own loop | failed | wrk's CPU |",
            "|:----|---------:|--------------------:|---------------:|-------:|----------:|",
        ]
        for who, per_s, loads in rows:
            conventional, own = (
                [run.per_s for run in runs] for runs in (self.loops["conventional"], self.loops["own"])
            )
            lines.append(
                f"| {who} | {Spread.of(per_s).text(1)} | {ratios(per_s, conventional).text(2)}"
                f" | {ratios(per_s, own).text(2)} | {_failed(loads)} | {_generator(loads)} |"
            )
        lines += ["", "wrk's CPU is in per cent of one core; it shares the machine with what it measures."]
        if self.peer_missing:
            lines += ["", f"The peer was not measured: {self.peer_missing}"]
        lines += ["", "Photos labelled as their table says: " + self._right()]
        return "\n".join(lines)

    def _right(self) -> str:
        return ", ".join(f"{name} {share:.1%}" for name, share in self.right.items()) + "."

    def _latency(self) -> str:
        lines = [
            "## Response times",
            "",
            "| who | p50 ms | p90 ms | p99 ms |",
            "|:----|-------:|-------:|-------:|",
            _alone("conventional loop, one photo, one process", self.loops["conventional_single"]),
            _alone("our own loop, one photo, one process", self.loops["own_single"]),
            *(
                _times(f"this service, {number} at once", [seen.load for seen in served])
                for number, served in self.service.items()
            ),
        ]
        if self.peer:
            lines.append(_times(f"{peer.version()}, 32 at once", self.peer))
        return "\n".join(lines)

    def _cpu(self) -> str:
        lines = [
            "## Where the processors' time goes",
            "",
            "CPU ms per photo while the service answers 32 at once; a worker's time has decoding and inference in it.",
            "",
            "| API | worker | queue | wrk |",
            "|----:|-------:|------:|----:|",
        ]
        turns = self.service[MAIN]
        cells = [
            Spread.of(1000 * turn.cpu_s[role] / max(1, turn.load.answered) for turn in turns).text(2) for role in ROLES
        ]
        wrk = Spread.of(1000 * turn.load.generator_cpu_s / max(1, turn.load.answered) for turn in turns).text(2)
        return "\n".join([*lines, f"| {' | '.join([*cells, wrk])} |"])


def measure(bench: Bench) -> Throughput:
    """Raises CannotMeasure: the service or a loop did not run. A missing peer is only noted."""
    stock, folder = stock_model(bench.cache), bench.photo_folder
    service: dict[int, list[Served]] = {number: [] for number in CONCURRENCIES}
    runs: dict[str, list[LoopRun]] = {}
    peer_loads: list[Load] = []
    peer_missing = ""
    with ExitStack() as stack:
        loops = {
            "conventional": stack.enter_context(
                loop("conventional", stock, folder, batch=BATCH, processes=bench.workers)
            ),
            "own": stack.enter_context(loop("own", bench.model, folder, batch=BATCH, processes=bench.workers)),
            "conventional_single": stack.enter_context(loop("conventional", stock, folder, batch=1, processes=1)),
            "own_single": stack.enter_context(loop("own", bench.model, folder, batch=1, processes=1)),
        }
        runs = {name: [] for name in loops}
        try:
            python = peer.environment(bench.cache)
            served_by_peer = stack.enter_context(
                peer.running_peer(python, stock, bench.workers, bench.scratch / "peer.log")
            )
        except CannotMeasure as error:
            served_by_peer, peer_missing = None, str(error)
        url = stack.enter_context(
            running_service(bench.workers, bench.model, bench.scratch / "throughput", RESULT_CACHE="off")
        )
        parts = service_parts(workers=bench.workers)

        def serve(number: int, seconds: float = bench.seconds) -> Served:
            before = cpu_s_by_role(parts)
            load = post(f"{url}/predict", bench.photos.files, concurrency=number, seconds=seconds)
            after = cpu_s_by_role(parts)
            settle(url)
            return Served(load, {role: after[role] - before[role] for role in ROLES})

        def serve_by_peer(running: peer.Peer, seconds: float = bench.seconds) -> Load:
            with running.awake():
                return post(running.url, bench.photos.files, concurrency=MAIN, seconds=seconds)

        turns: list[Callable[[], None]] = [
            *(partial(_note, service[number], partial(serve, number)) for number in CONCURRENCIES),
            *(partial(_note, runs[name], partial(bare.run, bench.seconds)) for name, bare in loops.items()),
        ]
        serve(MAIN, WARM_UP_S)
        if served_by_peer is not None:
            serve_by_peer(served_by_peer, WARM_UP_S)
            turns.append(partial(_note, peer_loads, partial(serve_by_peer, served_by_peer)))
        take_turns(turns, bench.rounds)
    return Throughput(
        processes=bench.workers,
        service={number: tuple(served) for number, served in service.items()},
        loops={name: tuple(seen) for name, seen in runs.items()},
        peer=tuple(peer_loads),
        peer_missing=peer_missing,
        right={name: bare.right for name, bare in loops.items() if not name.endswith("single")},
    )


Seen = TypeVar("Seen")


def _note(notes: list[Seen], turn: Callable[[], Seen]) -> None:
    notes.append(turn())


def _alone(who: str, runs: tuple[LoopRun, ...]) -> str:
    p50, p99 = (Spread.of(values).text(1) for values in ([run.p50_ms for run in runs], [run.p99_ms for run in runs]))
    return f"| {who} | {p50} | - | {p99} |"


def _times(who: str, loads: Sequence[Load]) -> str:
    columns = ([load.p50_ms for load in loads], [load.p90_ms for load in loads], [load.p99_ms for load in loads])
    return f"| {who} | {' | '.join(Spread.of(values).text(1) for values in columns)} |"


def _failed(loads: Sequence[Load]) -> str:
    return str(sum(load.failed for load in loads)) if loads else "-"


def _generator(loads: Sequence[Load]) -> str:
    return f"{100 * Spread.of(load.generator_cpu_share for load in loads).median:.0f}%" if loads else "-"
