"""What became of a request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OK, ACCEPTED, NOT_FOUND = 200, 202, 404
REFUSALS = {429, 503}
SCORES_DIFFER_BY = 0.01  # at most: batches of other sizes round otherwise

Labels = tuple[tuple[str, float], ...]


class Fate(StrEnum):
    """How a request ended.

    ``BROKEN``: the connection was closed or refused, so the client knows and may try again. ``LOST``: nobody ever said
    how it ended, though the connection was alive or the job accepted.
    """

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    BROKEN = "broken"
    LOST = "lost"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that has ended; times are of ``time.monotonic``, in seconds. ``why`` is empty if it was answered."""

    name: str
    route: str
    sent_s: float
    ended_s: float
    fate: Fate
    why: str


def fate_of(answer: Answer, truth: Labels) -> tuple[Fate, str]:
    """The fate of a request with this final answer, and why.

    Args:
        truth: the labels that an undisturbed service gave the same pixels.
    """
    if answer.status == OK:
        return fate_of_labels(_labels(answer.body), truth)
    if answer.status in REFUSALS and answer.headers.get("retry-after", "").isdigit():
        return Fate.REFUSED, f"{answer.status}: {_detail(answer)}"
    return Fate.FAILED, f"{answer.status}: {_detail(answer)}"


def fate_of_job(state: Mapping[str, Any], truth: Labels) -> tuple[Fate, str] | None:
    """The fate of an async job whose record is ``state``; None while it has none."""
    if state.get("state") == "done":
        return fate_of_labels(labels_in(state.get("result")), truth)
    if state.get("state") == "failed":
        return Fate.FAILED, f"job failed: {state.get('error')}"
    return None


def fate_of_labels(labels: Labels, truth: Labels) -> tuple[Fate, str]:
    same = [label for label, _ in labels] == [label for label, _ in truth] and all(
        abs(score - right) <= SCORES_DIFFER_BY for (_, score), (_, right) in zip(labels, truth, strict=True)
    )
    return (Fate.ANSWERED, "") if same else (Fate.WRONG, f"{labels} instead of {truth}")


def labels_in(body: Any) -> Labels:
    """Labels and scores of a JSON answer of any route; empty if it holds none."""
    try:
        return tuple(
            (str(seen["label"]), float(seen.get("score", seen.get("confidence")))) for seen in body["predictions"]
        )
    except (KeyError, TypeError, ValueError):
        return ()


def counts(requests: Sequence[Sent]) -> dict[Fate, int]:
    return {fate: sum(sent.fate is fate for sent in requests) for fate in Fate}


def _labels(body: bytes) -> Labels:
    try:
        return labels_in(json.loads(body))
    except ValueError:
        return ()


def _detail(answer: Answer) -> str:
    """What the answer says of itself, in a few words."""
    if "x-error" in answer.headers:
        return answer.headers["x-error"]
    try:
        return str(json.loads(answer.body)["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.body[:80].decode("latin-1")
