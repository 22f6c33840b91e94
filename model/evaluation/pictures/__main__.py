"""`make pictures`: what our decoder makes of every picture that Pillow writes, beside what was encoded and Pillow's.

With a folder: of every picture in it, beside Pillow's. Ends with 1 if a picture is another one than it should be, or,
of those made here, refused.
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from contract.limits import DEFAULT_MAX_PIXELS
from model.evaluation.pictures import folder, report
from model.evaluation.pictures.beside import Bench
from model.evaluation.pictures.variants import variants
from stress_test.machine import Machine

REPORT = Path(__file__).parent / "report.md"
PACKAGES = ("pillow", "pillow-heif", "opencv-python-headless")


def main() -> int:
    """Print the report; what was made here is recorded too."""
    parser = argparse.ArgumentParser(prog="python -m model.evaluation.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="pictures of your own, instead of those made here")
    own: Path | None = parser.parse_args().folder
    if own is not None and not own.is_dir():
        parser.error(f"{own} is no folder")
    machine = Machine.this()
    with Bench(DEFAULT_MAX_PIXELS) as bench:
        if own is None:
            groups = [
                bench.compare(list(files))
                for _, files in groupby(variants(), key=lambda file: (file.format, file.colour))
            ]
        else:
            groups = [bench.compare([file]) for file in folder.files(own)]
    run = report.Run(
        day=datetime.now(UTC).date(),
        command="make pictures" if own is None else f"make pictures FOLDER={own}",
        machine=machine,
        software={"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        groups=groups,
    )
    if own is not None:
        print(report.of_folder(run))
        return int(bool(run.wrong))
    text = report.generated(run)
    REPORT.write_text(text)
    print(text)
    return int(bool(run.wrong or run.refused))


if __name__ == "__main__":
    sys.exit(main())
