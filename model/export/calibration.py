"""A network's calibration file: the range of each tensor that int8 rounds, and how these facts were found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Calibration:
    """Ranges with their origin.

    Attributes:
        made_by: the command.
        method: what was computed.
        photos: how many photos were looked at.
        photos_sha256: hash over the photos' names and bytes, in order.
        ranges: lowest and highest value by tensor name of the fp32 graph.
    """

    made_by: str
    method: str
    photos: int
    photos_sha256: str
    ranges: dict[str, tuple[float, float]]


def load(file: Path) -> Calibration:
    """Read the committed ranges."""
    fields = json.loads(file.read_bytes())
    fields["ranges"] = {name: (low, high) for name, (low, high) in fields["ranges"].items()}
    return Calibration(**fields)


def save(calibration: Calibration, file: Path) -> None:
    """Write one tensor a line, so that a change shows in a diff."""
    fields = asdict(calibration)
    ranges = ",\n".join(
        f"    {json.dumps(name)}: [{low:.6g}, {high:.6g}]" for name, (low, high) in fields.pop("ranges").items()
    )
    head = json.dumps(fields, indent=2)[:-2]
    file.write_text(f'{head},\n  "ranges": {{\n{ranges}\n  }}\n}}\n', encoding="utf-8")
