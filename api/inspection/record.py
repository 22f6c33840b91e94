"""One inspection as it is kept: a line of JSON."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from contract.messages import Box, DetectedObject, Detection, Timings
from contract.model_version import FIRST_VERSION, WantedModel

ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found in one picture, and what it was held against.

    Attributes:
        time: ISO 8601, UTC, with milliseconds; times can be compared as texts.
        picture: its name in the image store.
        kept: whether the picture is kept with it.
        model: what found the objects, as name@version.
        digest: what identifies its weights, labels and preprocessing.
        found: the rest of the answer, as it was given.
    """

    id: str
    time: str
    picture: str
    kept: bool
    model: str
    digest: str
    found: dict[str, Any]

    @classmethod
    def now(cls, *, picture: str, model: str, digest: str, found: dict[str, Any]) -> Self:
        """One that was just done."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(secrets.token_hex(ID_BYTES), time, picture, False, model, digest, found)

    @property
    def pattern(self) -> str:
        return str(self.found["pattern"])

    @property
    def decision(self) -> bool:
        return bool(self.found["decision"])

    @property
    def detection(self) -> Detection:
        """What was found, by its record: how long it took is told with it, and not kept apart."""
        model = WantedModel.parse(self.model)
        size = self.found["image"]
        objects = tuple(_object(entry) for entry in self.found["detections"])
        return Detection(
            model=model.name,
            digest=self.digest,
            objects=objects,
            width=size["width"],
            height=size["height"],
            timings_ms=Timings(0, 0),
            version=model.version or FIRST_VERSION,
        )

    def to_line(self) -> bytes:
        told = {"id": self.id, "time": self.time, "picture": self.picture, "kept": self.kept}
        line = told | {"model": self.model, "digest": self.digest, "found": self.found}
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what ``to_line`` wrote.

        Raises:
            ValueError: it is something else, such as the part of a line that a power failure left.
        """
        match json.loads(line):
            case {
                "id": str(name), "time": str(time), "picture": str(picture), "kept": bool(kept), "model": str(model),
                "digest": str(digest), "found": {"pattern": str(), "decision": bool()} as found,
            }:  # fmt: skip
                return cls(name, time, picture, kept, model, digest, found)
        raise ValueError("not an inspection")


def _object(entry: dict[str, Any]) -> DetectedObject:
    """Of how answers have it (``api/http/detection_parameters.py``)."""
    sides = entry["box"]
    left, top = sides["x"], sides["y"]
    box = Box(left, top, left + sides["width"], top + sides["height"])
    return DetectedObject(entry["label"], entry["confidence"], entry["class_id"], box)
