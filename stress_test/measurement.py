"""The figures of one crowd of users with one service."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Measurement:
    """Counts over ``seconds``, the time measured; percentiles are of all answers to ``/predict`` except refusals.

    Attributes:
        pages, predictions, known: right answers: pages, labels of new pictures, labels of known ones.
        refused: 503s and 429s that said when to come again.
        failures: everything else, counted by reason.
        p50_ms, p95_ms, p99_ms: response times for new pictures, rounded by Locust to two digits; 0 where there was no
            answer.
        known_p50_ms, known_p99_ms: the same for known ones.
        generator_cpu_s: processor time that the users themselves took.
    """

    users: int
    seconds: float
    pages: int
    predictions: int
    known: int
    refused: int
    failures: dict[str, int]
    p50_ms: float
    p95_ms: float
    p99_ms: float
    known_p50_ms: float
    known_p99_ms: float
    generator_cpu_s: float

    @property
    def predictions_per_s(self) -> float:
        return self.predictions / self.seconds

    @property
    def requests_per_s(self) -> float:
        """Right answers of all kinds."""
        return (self.pages + self.predictions + self.known) / self.seconds

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    @property
    def generator_cpu_share(self) -> float:
        """Of one core; 1.0 is all of it."""
        return self.generator_cpu_s / self.seconds

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError, TypeError: the text is something else.
        """
        return cls(**json.loads(text))
