"""The JSON bodies of answers, for mypy: what the views build must fit them.

The meaning and bounds of each field are in ``api/openapi/openapi.yaml``; the tests compare every answer with that. At
run time these are plain dictionaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, NotRequired, TypedDict, TypeVar, final

if TYPE_CHECKING:
    from contract.async_jobs import FaultKind
    from contract.messages import FailureKind


Result = TypeVar("Result")


class Problem(TypedDict):
    type: Literal["about:blank"]
    title: str
    status: int
    detail: str


class LabelScore(TypedDict):
    label: str
    score: float


class LabelConfidence(TypedDict):
    label: str
    confidence: float


class Prediction(TypedDict):
    success: Literal[True]
    prediction: str
    score: float
    predictions: NotRequired[list[LabelScore]]
    damaged: NotRequired[bool]
    first_frame_only: NotRequired[Literal[True]]


class PredictRefusal(TypedDict):
    success: Literal[False]
    prediction: None
    score: None


class Inferred(TypedDict):
    predictions: list[LabelConfidence]
    inference_time_ms: float
    damaged: NotRequired[bool]
    first_frame_only: NotRequired[Literal[True]]


class Sides(TypedDict):
    x: float
    y: float
    width: float
    height: float


class DetectedObject(TypedDict):
    label: str
    class_id: int
    confidence: float
    box: Sides


class Size(TypedDict):
    width: int
    height: int


class Detected(TypedDict):
    detections: list[DetectedObject]
    image: Size
    inference_time_ms: float
    damaged: NotRequired[bool]
    first_frame_only: NotRequired[Literal[True]]


State = Literal["found", "missing", "out of place"]


class Edges(TypedDict):
    left: float
    top: float
    right: float
    bottom: float


class ExpectedObject(TypedDict):
    label: str | None
    class_id: int | None
    inner: Edges
    outer: Edges


class Pattern(TypedDict):
    name: str
    objects: list[ExpectedObject]


class PatternSet(TypedDict):
    key: str
    patterns: list[Pattern]


class PatternSets(TypedDict):
    pattern_sets: list[PatternSet]


class Finding(TypedDict):
    label: str | None
    class_id: int | None
    state: State
    detection: int | None
    offset: Edges | None


PictureSource = Literal["upload", "camera"]


class Inspected(TypedDict):
    decision: bool
    pattern: str
    best_pattern: str
    reasons: list[str]
    expected: list[Finding]
    surplus: list[int]
    detections: list[DetectedObject]
    image: Size
    inference_time_ms: float
    damaged: NotRequired[bool]
    first_frame_only: NotRequired[Literal[True]]
    source: PictureSource


class InspectionLinks(TypedDict):
    picture: str | None
    drawn: str | None


class Inspection(Inspected):
    id: str | None
    time: str
    picture: str
    model: str
    digest: str
    links: InspectionLinks


class InspectionList(TypedDict):
    inspections: list[Inspection]
    page: int
    more: bool


class ReplacedInference(TypedDict):
    bboxes: list[list[float]]
    class_ids: list[int]
    scores: list[float]


class ReplacedPictures(TypedDict):
    img: NotRequired[str]
    img_drawn: NotRequired[str]


class ReplacedResults(TypedDict):
    bboxes: NotRequired[list[list[float]]]
    class_ids: NotRequired[list[int]]
    scores: NotRequired[list[float]]


class ReplacedMain(TypedDict):
    decision: NotRequired[bool | None]
    pattern_name: NotRequired[str | None]
    pattern_lg: NotRequired[list[bool] | None]
    images: NotRequired[ReplacedPictures]
    results: NotRequired[ReplacedResults]


class CheckedPattern(TypedDict):
    decision: bool
    pattern_name: str
    lg: list[bool]


class BatchResult(TypedDict):
    filename: str
    predictions: list[LabelConfidence]
    inference_time_ms: float | None
    damaged: NotRequired[bool | None]
    first_frame_only: NotRequired[Literal[True]]
    error: str | None


class DetectedBatchResult(TypedDict):
    filename: str
    detections: list[DetectedObject]
    image: Size | None
    inference_time_ms: float | None
    damaged: NotRequired[bool | None]
    first_frame_only: NotRequired[Literal[True]]
    error: str | None


class Batch(TypedDict, Generic[Result]):
    total_images: int
    successful: int
    failed: int
    total_time_ms: float
    results: list[Result]


class JobLinks(TypedDict):
    self: str
    display: str | None


class AnsweredBy(TypedDict):
    model: str
    version: str
    digest: str


class JobResult(AnsweredBy, Inferred):
    pass


class JobDetection(AnsweredBy, Detected):
    pass


class JobError(TypedDict):
    kind: FailureKind | FaultKind
    detail: str


class Job(TypedDict):
    id: str
    image: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: str
    expires: str
    links: JobLinks
    result: NotRequired[JobResult | JobDetection]
    error: NotRequired[JobError]


class JobList(TypedDict):
    jobs: list[Job]
    page: int
    more: bool


@final
class Shown(TypedDict):
    image: str
    display: str | None
    model: str
    version: str
    digest: str
    predictions: list[LabelScore]
    cache: Literal["hit", "joined", "miss"]
    elapsed_ms: float
    first_frame_only: NotRequired[Literal[True]]


@final
class ShownObjects(TypedDict):
    image: str
    display: str | None
    model: str
    version: str
    digest: str
    detections: list[DetectedObject]
    size: Size
    min_score: float
    cache: Literal["hit", "joined", "miss"]
    elapsed_ms: float
    first_frame_only: NotRequired[Literal[True]]


class Labels(TypedDict):
    model: str
    version: str
    digest: str
    labels: tuple[str, ...]


class Variant(TypedDict):
    digest: str
    precision: str


class ObjectBounds(TypedDict):
    min_score: float
    most: int


class Version(TypedDict):
    version: str
    role: str
    task: str | None
    digests: list[Variant]
    licence: str | None
    provenance: dict[str, str]
    input: Size | None
    labels: int | None
    objects: NotRequired[ObjectBounds]
    workers: int
    queued: int
    bulk_queued: int
    async_queued: int
    mean_service_ms: float


class Model(TypedDict):
    name: str
    default: bool
    current: str
    previous: str | None
    candidate: str | None
    share: int
    shadow: int
    versions: list[Version]


class ModelList(TypedDict):
    models: list[Model]


class ModelMoved(TypedDict):
    message: str
    model: str
    version: str
    digests: list[str]
    previous: str | None
    workers: int


class ModelPointers(TypedDict):
    model: str
    current: str
    previous: str | None
    candidate: str | None
    share: int
    shadow: int


class ComparedPictures(TypedDict):
    pictures: int
    left_out: int
    agreed: int
    right_current: NotRequired[int]
    right_candidate: NotRequired[int]
    only_current: NotRequired[int]
    only_candidate: NotRequired[int]
    difference: NotRequired[float]
    interval: NotRequired[list[float]]


class PictureTimes(TypedDict):
    mean_ms: float
    p99_ms: float


class DisagreedPicture(TypedDict):
    image: str
    display: str | None
    expected: str | None
    current: str | None
    candidate: str | None


class CheckReport(TypedDict):
    verdict: str
    labelled: ComparedPictures
    feedback: ComparedPictures | None
    stored: ComparedPictures | None
    times_current: PictureTimes
    times_candidate: PictureTimes
    missing_labels: list[str]
    disagreements: list[DisagreedPicture]


class CandidateCheck(TypedDict):
    model: str
    candidate: str
    current: str
    digests: list[str]
    state: Literal["running", "passed", "failed", "broken"]
    done: int
    of: int
    began: str
    by: str
    fault: NotRequired[str]
    report: NotRequired[CheckReport]


class Computations(TypedDict):
    answered: int
    failed: int


class ShadowDisagreement(TypedDict):
    image: str
    display: str | None
    answered_by: str
    answered: LabelScore
    candidate: LabelScore


class ShadowComparison(TypedDict):
    agreed: int
    disagreed: int
    failed: int
    disagreements: list[ShadowDisagreement]


class ModelChange(TypedDict):
    time: str
    action: str
    by: str
    words: str


class OperatedModel(Model):
    computations: dict[str, Computations]
    check: CandidateCheck | None
    comparison: ShadowComparison | None
    history: list[ModelChange]


class OperatedModels(TypedDict):
    models: list[OperatedModel]


class InferenceError(TypedDict):
    error: str


class InferenceServer(TypedDict):
    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    live: Literal[True]


class ServerReady(TypedDict):
    ready: Literal[True]


class ModelReady(TypedDict):
    name: str
    ready: Literal[True]


class TensorMetadata(TypedDict):
    name: str
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]
    parameters: NotRequired[dict[str, str]]


class ModelMetadata(TypedDict):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(TypedDict):
    name: str
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]
    parameters: NotRequired[dict[str, int]]
    data: NotRequired[list[float | str]]


class InferAnswer(TypedDict):
    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


class FeedbackTaken(TypedDict):
    stored: bool


class SenderUsage(TypedDict):
    name: str
    requests: int
    bytes: int
    refused: int


class UsageToday(TypedDict):
    day: str
    keys: list[SenderUsage]
    addresses: list[SenderUsage]


class Alive(TypedDict):
    status: Literal["ok"]


class Ready(TypedDict):
    status: Literal["ready"]
    model: str
    workers: int


class Health(TypedDict):
    status: Literal["ok", "degraded"]
    version: str
    model_loaded: bool
    workers: int
    model: NotRequired[str]
    model_version: NotRequired[str]
    digest: NotRequired[str]
    queued: NotRequired[int]
    reason: NotRequired[str]


class Stats(TypedDict):
    uptime_seconds: float
    total_requests: int
    successful_requests: int
    failed_requests: int
    success_rate: float
    average_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    requests_per_second: float
