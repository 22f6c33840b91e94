"""`python -m model.evaluation.decoding_beside OTHER`: processor time of decoding, of two checkouts in turns.

Of ordinary pictures, as nearly all uploads are: those that are read in the worker itself.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]

# Milliseconds of the process for each picture, one after the other, each as often as said.
_PROGRAM = """
import sys, time
from pathlib import Path
from model.decode import Decoder
def reduction(size):
    return 1 << min(3, max(0, (min(size) // 256).bit_length() - 1))
times, decoder = int(sys.argv[1]), Decoder(50_000_000)
for name in sys.argv[2:]:
    image = Path(name).read_bytes()
    decoder.decode(image, exif_orientation=True, reduction=reduction)
    start = time.process_time()
    for _ in range(times):
        decoder.decode(image, exif_orientation=True, reduction=reduction)
    print((time.process_time() - start) / times * 1000)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="model.evaluation.decoding_beside", description=__doc__)
    parser.add_argument("other", type=Path, metavar="OTHER", help="another checkout's folder")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=int, default=40, help="that each picture is decoded in a round")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = _written(Path(folder))
        rounds: list[tuple[list[float], list[float]]] = []
        for number in range(wanted.rounds):
            trees = [ROOT, wanted.other.resolve()][:: 1 if number % 2 else -1]
            times = {tree: _round(tree, [*files.values()], wanted.times) for tree in trees}
            rounds.append((times[ROOT], times[wanted.other.resolve()]))
    print("| picture | this tree, ms | the other, ms | this / the other (least to most) |\n|---|--:|--:|---|")
    for index, name in enumerate(files):
        ours, theirs = ([each[tree][index] for each in rounds] for tree in (0, 1))
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        print(
            f"| {name} | {statistics.median(ours):.2f} | {statistics.median(theirs):.2f} |"
            f" {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


def _round(tree: Path, files: list[Path], times: int) -> list[float]:
    command = [sys.executable, "-c", _PROGRAM, str(times), *map(str, files)]
    run = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)  # noqa: S603  our own
    return [float(line) for line in run.stdout.splitlines()]


def _written(folder: Path) -> dict[str, Path]:
    """By name, the pictures, which the project's own photo makes."""
    with Image.open(ROOT / "tests" / "pictures" / "chelsea.jpg") as file:
        photo = file.convert("RGB")
    large, phone = photo.resize((1600, 1064)), photo.resize((4032, 2682))
    made = {
        "JPEG, 451 x 300": _encoded(photo, "JPEG"),
        "JPEG, 451 x 300, progressive": _encoded(photo, "JPEG", progressive=True),
        "JPEG, 12 megapixels": _encoded(phone, "JPEG"),
        "PNG, 451 x 300": _encoded(photo, "PNG"),
        "PNG, 1600 x 1064": _encoded(large, "PNG"),
        "WebP, 451 x 300": _encoded(photo, "WEBP"),
        "WebP, 1600 x 1064": _encoded(large, "WEBP"),
    }
    files = {name: folder / str(number) for number, name in enumerate(made)}
    for name, path in files.items():
        path.write_bytes(made[name])
    return files


def _encoded(picture: Image.Image, file_format: str, **options: bool) -> bytes:
    file = BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


if __name__ == "__main__":
    main()
