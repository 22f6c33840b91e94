"""The forms that are read and the JSON that is answered: what a client may rely on.

The views build the answers, mypy checks that what they build fits, and OpenAPI's schemas are made from all of them
(docs/decisions/0013-openapi-from-the-code.md). At run time they are plain dictionaries.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12 on

from contract.messages import FailureKind  # noqa: TC001  # pydantic reads these annotations
from contract.tickets import FaultKind  # noqa: TC001

LabelName = Annotated[str, Field(description="A class, as the model's own list of labels writes it.")]
Score = Annotated[float, Field(ge=0, le=1, description="A probability, rounded to 4 decimals.")]
ModelName = Annotated[str, Field(description="The model that is served.")]
Digest = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="Identifies the model's weights, labels and preprocessing.")
]
PictureName = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="A stored picture's name: the SHA-256 of its bytes.")
]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
InferenceTime = Annotated[
    float,
    Field(ge=0, description="What a worker spent on it, now or earlier, in milliseconds."),
]
Workers = Annotated[int, Field(ge=0, description="Workers heard of within the last seconds.")]


class Problem(TypedDict):
    """What went wrong (RFC 9457). Every error but `/predict`'s own 400 looks like this."""

    type: Annotated[Literal["about:blank"], Field(description="Always this: the status says what kind it is.")]
    title: Annotated[str, Field(description="The status in words.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Field(description="What is wrong with this request, for a person.")]


TopK = Annotated[
    int,
    Field(ge=1, json_schema_extra={"x-maximum": "top_k_max"}, examples=[3], description="At most so many labels."),
]
MinScore = Annotated[float, Field(ge=0, le=1, examples=[0.05], description="No label that scores less.")]
File = Annotated[bytes, Field(description="The picture's file; the fields `image` and `files` are taken as well.")]


class OnePictureForm(TypedDict):
    """One picture."""

    file: File


class PictureForm(OnePictureForm):
    """One picture, and which of its labels are wanted."""

    top_k: NotRequired[TopK]
    min_score: NotRequired[MinScore]


class BatchForm(TypedDict):
    """Pictures, and which of their labels are wanted."""

    files: Annotated[
        list[bytes],
        Field(
            min_length=1,
            json_schema_extra={"x-maximum-items": "max_batch_files"},
            description="The pictures' files; the fields `file` and `image` are taken as well.",
        ),
    ]
    top_k: NotRequired[TopK]
    min_score: NotRequired[MinScore]


class FeedbackForm(TypedDict):
    """Either `report`, or the other fields one by one."""

    report: NotRequired[Annotated[str, Field(description="The other fields as one JSON object.")]]
    filename: NotRequired[Annotated[str, Field(description="The stored picture's name.")]]
    prediction: NotRequired[Annotated[str, Field(description="The label that was answered.")]]
    score: NotRequired[Annotated[str, Field(description="Its score.")]]
    correct_label: NotRequired[Annotated[str, Field(description="What it really is.")]]
    comment: NotRequired[Annotated[str, Field(description="Anything else.")]]
    model: NotRequired[Annotated[str, Field(description="The model that answered.")]]
    digest: NotRequired[Annotated[str, Field(description="Its digest.")]]


class LabelScore(TypedDict):
    """One class and how probable it is."""

    label: LabelName
    score: Score


class Prediction(TypedDict):
    """The most probable class of a picture."""

    success: Literal[True]
    prediction: LabelName
    score: Score
    predictions: NotRequired[
        Annotated[list[LabelScore], Field(description="The best, best first; where `top_k` or `min_score` is sent.")]
    ]


class PredictRefusal(TypedDict):
    """The input is at fault; the header `X-Error` says how."""

    success: Literal[False]
    prediction: None
    score: None


class LabelConfidence(TypedDict):
    """One class and how probable it is."""

    label: LabelName
    confidence: Score


class Inferred(TypedDict):
    """The classes of one picture."""

    predictions: Annotated[list[LabelConfidence], Field(description="The best classes, best first.")]
    inference_time_ms: InferenceTime


class BatchResult(TypedDict):
    """One picture of several: its classes, or why there are none."""

    filename: Annotated[str, Field(description="As it was sent.")]
    predictions: Annotated[list[LabelConfidence], Field(description="The best classes, best first.")]
    inference_time_ms: InferenceTime | None
    error: Annotated[str | None, Field(description="What is wrong with this picture, for a person.")]


class InferredBatch(TypedDict):
    """Several pictures, in the order sent."""

    total_images: int
    successful: int
    failed: int
    total_time_ms: Annotated[float, Field(ge=0, description="From the request's first line, in milliseconds.")]
    results: list[BatchResult]


class JobLinks(TypedDict):
    """Where to go from here."""

    self: Annotated[str, Field(description="The job's own address.", examples=["/v1/jobs/" + 32 * "0"])]


class JobResult(TypedDict):
    """What a job has found."""

    model: ModelName
    digest: Digest
    predictions: Annotated[list[LabelConfidence], Field(description="The best classes, best first.")]
    inference_time_ms: InferenceTime


class JobError(TypedDict):
    """Why a job has failed."""

    kind: Annotated[FailureKind | FaultKind, Field(description="The picture's fault, or else the service's.")]
    detail: Annotated[str, Field(description="What went wrong, for a person.")]


class Job(TypedDict):
    """A job as it stands."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="Who knows it may read and cancel the job.")]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: Annotated[Time, Field(description="When it was accepted.")]
    expires: Annotated[Time, Field(description="Until when it can be asked for.")]
    links: JobLinks
    result: NotRequired[Annotated[JobResult, Field(description="Once it is done.")]]
    error: NotRequired[Annotated[JobError, Field(description="Once it has failed.")]]


class Shown(TypedDict):
    """What the page shows of an answer."""

    image: PictureName
    model: ModelName
    digest: Digest
    predictions: Annotated[list[LabelScore], Field(description="The best classes, best first.")]
    cache: Annotated[
        Literal["hit", "joined", "miss"],
        Field(description="From memory, from a computation already under way, or from one of its own."),
    ]
    elapsed_ms: Annotated[float, Field(ge=0, description="From the request's first line, in milliseconds.")]


class Labels(TypedDict):
    """All classes that the model knows."""

    model: ModelName
    digest: Digest
    labels: Annotated[tuple[LabelName, ...], Field(description="By class index.")]


class FeedbackTaken(TypedDict):
    """Whether the report held anything worth storing."""

    stored: bool


class Alive(TypedDict):
    """This process answers."""

    status: Literal["ok"]


class Ready(TypedDict):
    """Requests can be served now."""

    status: Literal["ready"]
    model: ModelName
    workers: Workers


class Health(TypedDict):
    """How the whole is doing."""

    status: Annotated[Literal["ok", "degraded"], Field(description="Degraded: something is away, see `reason`.")]
    model_loaded: Annotated[bool, Field(description="Whether a worker with a loaded model is alive.")]
    workers: Workers
    model: NotRequired[ModelName]
    digest: NotRequired[Digest]
    queued: NotRequired[Annotated[int, Field(ge=0, description="Pictures waiting for a worker.")]]
    reason: NotRequired[Annotated[str, Field(description="What is away.")]]


Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0, description="Of the successful ones, in milliseconds.")]


class Stats(TypedDict):
    """Classification requests since the API's start."""

    uptime_seconds: Annotated[float, Field(ge=0)]
    total_requests: Count
    successful_requests: Annotated[Count, Field(description="Answered with a status below 400.")]
    failed_requests: Annotated[Count, Field(description="All others, honest refusals (503) included.")]
    success_rate: Annotated[float, Field(ge=0, le=1)]
    average_latency_ms: Milliseconds
    p95_latency_ms: Milliseconds
    p99_latency_ms: Milliseconds
    requests_per_second: Annotated[float, Field(ge=0)]
