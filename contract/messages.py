"""What travels between the API and the workers: frozen, typed, JSON only; each message owns its encoding."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Self, TypeVar

from contract.errors import UnknownOutcome
from contract.model_task import ModelTask
from contract.model_version import FIRST_VERSION, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_OBJECTS = 1000  # of a picture: as many as a model's manifest may ask for
LONGEST_SIDE_PX = 2**31 - 1  # of a picture: no format has longer ones, and what is larger may be no float
LARGEST_COPY_BYTES = 10**9  # far above what a copy may have: a worker that was taken over says what it likes
UNKNOWN = "the worker's answer has a form that this version of the API does not know; the API has to be upgraded"
LONGEST_REQUEST_ID = 128  # characters
DRAWN_TYPES = ("image/jpeg", "image/png")  # media types of drawn pictures

Found = TypeVar("Found", "Classification", "Detection")


class FailureKind(StrEnum):
    """Why a picture can't be computed: always the picture's fault, never ours."""

    UNDECODABLE = "undecodable"  # it is damaged, or of a kind that is not supported
    TOO_MANY_PIXELS = "too_many_pixels"  # it, or a part of it, exceeds the worker's limits


@dataclass(frozen=True, slots=True)
class PictureJob(Generic[Found]):
    """What a worker is to do: give a picture to a model, and tell its answer.

    Attributes:
        model_task: of the models that it is for.
        picture: SHA-256 of the encoded picture, 64 lower-case hex digits; its name in the image store.
        cache: whether the answer may be stored for later requests, and the computation shared with others.
        strict: whether a damaged picture is refused; otherwise what is there of it counts.
        request_id: of the request that submits it, for logs; "" if nobody named it. It makes no other job of it.
    """

    model_task: ClassVar[ModelTask]

    picture: str
    cache: bool
    strict: bool = True
    request_id: str = field(default="", compare=False)

    @property
    def computation(self) -> str:
        """Names what is computed in Redis' keys: jobs of one model with the same name have the same answer.

        A strict job's is its picture's name alone, as it was before there were others (docs/decisions/0014).
        """
        return self.picture if self.strict else f"{self.picture}:lenient"

    def to_args(self) -> list[Any]:
        """The job's positional arguments on the queue; those of version 0.1, whose workers refuse any other."""
        return [self.picture, self.cache]

    def to_meta(self) -> dict[str, Any]:
        """What the job has beside its arguments, where older workers do not look (docs/decisions/0017)."""
        named = {"request_id": self.request_id} if self.request_id else {}
        return named if self.strict else {"strict": False, **named}

    @classmethod
    def from_wire(cls, args: Any, meta: dict[str, Any]) -> Self:
        """Read what ``to_args`` and ``to_meta`` wrote; ``meta`` may hold more.

        Raises:
            ValueError: they are not those of such a job.
        """
        named = meta.get("request_id")
        request_id = named if isinstance(named, str) and len(named) <= LONGEST_REQUEST_ID else ""
        match args, meta.get("strict", True):
            case [str(picture), bool(cache)], bool(strict):
                return cls(picture, cache, strict, request_id)
        raise ValueError(f"not a job for a picture: {args!r:.100}, {meta!r:.100}")


@dataclass(frozen=True, slots=True)
class ClassifyJob(PictureJob["Classification"]):
    """For a classifier; its outcome is a ``Classification``."""

    model_task = ModelTask.CLASSIFICATION


@dataclass(frozen=True, slots=True)
class DetectJob(PictureJob["Detection"]):
    """For a detector; its outcome is a ``Detection``."""

    model_task = ModelTask.DETECTION


@dataclass(frozen=True, slots=True)
class CopyJob:
    """Make a clean copy of a picture, to be shown: upright, and with nothing in it but its pixels.

    Attributes:
        picture: its name in the image store, and its copy's.
    """

    picture: str

    @property
    def cache(self) -> bool:
        """Whoever asks meanwhile waits for the same copy."""
        return True

    @property
    def computation(self) -> str:
        """As of a ``ClassifyJob``."""
        return f"{self.picture}:copy"

    @property
    def copy_name(self) -> str:
        """In the store of copies."""
        return self.picture

    def to_args(self) -> list[Any]:
        return [self.picture]

    def to_meta(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_wire(cls, args: Any) -> Self:
        """Read what ``to_args`` wrote.

        Raises:
            ValueError: it is not that of such a job.
        """
        match args:
            case [str(picture)]:
                return cls(picture)
        raise ValueError(f"not a job for a copy: {args!r:.100}")


@dataclass(frozen=True, slots=True)
class Label:
    """One class and its score.

    Attributes:
        score: a probability, 0 to 1.
        index: of the class among the model's, which tells classes of the same label apart; None of workers that are
            older than this.
    """

    label: str
    score: float
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Timings:
    """The worker's time for one picture, in milliseconds. ``infer`` is the whole batch's session run."""

    decode: float
    infer: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The top labels of one picture, best first, by the version of a model that ``digest`` identifies.

    ``damaged`` says that they are those of what was left of it, which only a job that is not strict asks for.
    """

    model_task: ClassVar = ModelTask.CLASSIFICATION

    model: str
    digest: str
    labels: tuple[Label, ...]
    timings_ms: Timings
    damaged: bool = False
    version: str = FIRST_VERSION

    @property
    def key(self) -> str:
        """``ModelVersion.key`` of the version that made it."""
        return ModelVersion(self.model, self.version).key

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "outcome": "classified",
            "model": self.model,
            "digest": self.digest,
            "labels": [[entry.label, round(entry.score, 6)] for entry in self.labels],
            "timings_ms": asdict(self.timings_ms),
        }
        if self.damaged:
            wire["damaged"] = True
        if self.version != FIRST_VERSION:
            wire["version"] = self.version
        if all(entry.index is not None for entry in self.labels):
            wire["classes"] = [entry.index for entry in self.labels]  # beside the labels: older readers unpack these
        return wire


class Box(NamedTuple):
    """In pixels of the picture as it is shown, upright and whole, from its upper left corner; within the picture."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """One object in a picture.

    Attributes:
        score: how sure the model is, 0 to 1.
        index: of the class among the model's, which tells classes of the same label apart.
    """

    label: str
    score: float
    index: int
    box: Box


@dataclass(frozen=True, slots=True)
class DrawJob:
    """Draw objects on a clean copy of a picture.

    Attributes:
        picture: its name in the image store.
        media_type: of the drawn picture, one of ``DRAWN_TYPES``.
        width, height: of the picture that the objects' boxes lie in.
        objects: best first.
        apart: sets it apart from jobs that would draw the same, for a sender who shares nothing; "" for all others.
    """

    picture: str
    media_type: str
    width: int
    height: int
    objects: tuple[DetectedObject, ...]
    apart: str = ""

    @property
    def cache(self) -> bool:
        """Whoever asks for the same meanwhile waits for it, unless it is nobody else's."""
        return not self.apart

    @property
    def computation(self) -> str:
        """As of a ``ClassifyJob``. What is drawn names it, whatever has found that."""
        return f"{self.picture}:{self._drawing}"

    @property
    def copy_name(self) -> str:
        """In the store of copies, where it goes with its picture."""
        return f"{self.picture}-{self._drawing}"

    @property
    def _drawing(self) -> str:
        return hashlib.sha256(json.dumps(self.to_args()[1:]).encode()).hexdigest()

    def to_args(self) -> list[Any]:
        return [self.picture, self.media_type, self.width, self.height, _objects_to_wire(self.objects), self.apart]

    def to_meta(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_wire(cls, args: Any) -> Self:
        """Read what ``to_args`` wrote.

        Raises:
            ValueError: it is not that of such a job.
        """
        match args:
            case [str(picture), str(media_type), int(width), int(height), [*objects], str(apart)] if (
                media_type in DRAWN_TYPES and _are_sides(width, height) and len(objects) <= MOST_OBJECTS
            ):
                return cls(picture, media_type, width, height, tuple(map(_detected_object, objects)), apart)
        raise ValueError(f"not a job for a drawn picture: {args!r:.100}")


Task = PictureJob[Any] | CopyJob | DrawJob


@dataclass(frozen=True, slots=True)
class Detection:
    """The objects in one picture, best first, by the version of a model that ``digest`` identifies; perhaps none.

    ``width`` and ``height`` are those of the picture that the boxes lie in. ``damaged`` as of a ``Classification``.
    """

    model_task: ClassVar = ModelTask.DETECTION

    model: str
    digest: str
    objects: tuple[DetectedObject, ...]
    width: int
    height: int
    timings_ms: Timings
    damaged: bool = False
    version: str = FIRST_VERSION

    @property
    def key(self) -> str:
        """``ModelVersion.key`` of the version that made it."""
        return ModelVersion(self.model, self.version).key

    def to_wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = {
            "outcome": "detected",
            "model": self.model,
            "digest": self.digest,
            "objects": _objects_to_wire(self.objects),
            "width": self.width,
            "height": self.height,
            "timings_ms": asdict(self.timings_ms),
        }
        if self.damaged:
            wire["damaged"] = True
        if self.version != FIRST_VERSION:
            wire["version"] = self.version
        return wire


@dataclass(frozen=True, slots=True)
class Failure:
    """The picture can't be computed; ``detail`` is a sentence for the sender."""

    kind: FailureKind
    detail: str

    def to_wire(self) -> dict[str, Any]:
        return {"outcome": "failed", "kind": self.kind.value, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Dropped:
    """No request wanted the job any more when its turn came, so it was not run."""

    def to_wire(self) -> dict[str, Any]:
        return {"outcome": "dropped"}


@dataclass(frozen=True, slots=True)
class Lost:
    """The stored picture is gone, or its bytes are no longer those that were sent: it has to be sent again."""

    def to_wire(self) -> dict[str, Any]:
        return {"outcome": "lost"}


@dataclass(frozen=True, slots=True)
class Deleted:
    """The picture was deleted, with all that is known of it, before the job had ended."""

    def to_wire(self) -> dict[str, Any]:
        return {"outcome": "deleted"}


@dataclass(frozen=True, slots=True)
class Copied:
    """There is a copy, or a drawn picture, now, of so many bytes."""

    size_bytes: int

    def to_wire(self) -> dict[str, Any]:
        return {"outcome": "copied", "size_bytes": self.size_bytes}


Answer = Classification | Detection
Outcome = Answer | Failure | Dropped | Lost | Deleted | Copied


_WITHOUT_CONTENT: Mapping[str, Callable[[], Outcome]] = {"dropped": Dropped, "lost": Lost, "deleted": Deleted}


def outcome_from_json(text: bytes | str) -> Outcome:
    """As ``outcome_from_wire``, of JSON that another version, or somebody's hand, may have written.

    Raises:
        UnknownOutcome: it is not JSON, or not an outcome that this version knows.
    """
    try:
        wire = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownOutcome(UNKNOWN) from error
    return outcome_from_wire(wire)


def outcome_from_wire(wire: Any) -> Outcome:
    """Read what ``to_wire`` wrote.

    Raises:
        UnknownOutcome: the value is not an outcome that this version knows.
    """
    try:
        match wire:
            case {"outcome": "classified"}:
                return _classification(wire)
            case {"outcome": "detected"}:
                return _detection(wire)
            case {"outcome": "failed", "kind": kind, "detail": str(detail)}:
                return Failure(FailureKind(kind), detail)
            case {"outcome": str(name)} if name in _WITHOUT_CONTENT:
                return _WITHOUT_CONTENT[name]()
            case {"outcome": "copied", "size_bytes": int(size_bytes)} if 0 <= size_bytes <= LARGEST_COPY_BYTES:
                return Copied(size_bytes)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnknownOutcome(UNKNOWN) from error
    raise UnknownOutcome(UNKNOWN)


def _classification(wire: dict[str, Any]) -> Classification:
    """Raises ValueError: it is none."""
    match wire:
        case {"model": str(model), "digest": str(digest), "labels": [_, *_] as labels, "timings_ms": timings}:
            classes = _classes(wire, len(labels))
            found = tuple(
                Label(str(label), _finite(score), index) for (label, score), index in zip(labels, classes, strict=True)
            )
            return Classification(model, digest, found, _timings(timings), *_damaged_and_version(wire))
    raise ValueError("not a classification")


def _detection(wire: dict[str, Any]) -> Detection:
    """Raises ValueError: it is none."""
    match wire:
        case {"model": str(model), "digest": str(digest), "objects": [*objects], "width": int(width),
              "height": int(height), "timings_ms": timings,
              } if _are_sides(width, height) and len(objects) <= MOST_OBJECTS:  # fmt: skip
            found = tuple(map(_detected_object, objects))
            return Detection(model, digest, found, width, height, _timings(timings), *_damaged_and_version(wire))
    raise ValueError("not a detection")


def _are_sides(width: int, height: int) -> bool:
    return 1 <= width <= LONGEST_SIDE_PX and 1 <= height <= LONGEST_SIDE_PX


def _damaged_and_version(wire: dict[str, Any]) -> tuple[bool, str]:
    return wire.get("damaged") is True, str(wire.get("version", FIRST_VERSION))


def _timings(wire: Any) -> Timings:
    """Raises ValueError: they are none."""
    match wire:
        case {"decode": decode, "infer": infer}:
            return Timings(_finite(decode), _finite(infer))
    raise ValueError(f"not timings: {wire!r:.100}")


def _objects_to_wire(objects: tuple[DetectedObject, ...]) -> list[list[Any]]:
    return [
        [found.label, round(found.score, 6), found.index, [round(side, 2) for side in found.box]] for found in objects
    ]


def _detected_object(entry: Any) -> DetectedObject:
    """Raises ValueError: it is none."""
    match entry:
        case [str(label), score, int(index), [_, _, _, _] as box] if index >= 0:
            return DetectedObject(label, _finite(score), index, Box(*map(_finite, box)))
    raise ValueError(f"not an object: {entry!r:.100}")


def _classes(wire: dict[str, Any], labels: int) -> list[int] | list[None]:
    """Raises ValueError: they are none."""
    classes = wire.get("classes")
    if classes is None:
        return [None] * labels
    if not isinstance(classes, list) or not all(type(index) is int and index >= 0 for index in classes):
        raise ValueError(f"not the indices of classes: {classes!r:.100}")
    return classes


def _finite(number: Any) -> float:
    """Raises ValueError: JSON for clients has no NaN and no infinity."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"not a finite number: {value}")
    return value
