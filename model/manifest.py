"""The manifest of a model, ``model.json``: what it says, in types. See docs/bring-your-own-model.md."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator

from contract.model_name import NAME, QUEUED_AS, VERSION
from contract.model_version import FIRST_VERSION

Side = Annotated[int, Field(ge=1, le=4096)]  # pixels; above it one input would not fit a worker's memory
Triple = tuple[float, float, float]
Nonzero = Annotated[float, Field(gt=0)]


def _checksum(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("a SHA-256 is 64 hex digits in small letters")
    return text


def _word(what: str, form: re.Pattern[str], longest: int) -> AfterValidator:
    """It becomes part of Redis keys and URLs."""

    def checked(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(
                f"a {what} has letters, digits, '.', '_' and '-', {longest} at most, "
                "and begins with one of the first two"
            )
        return text

    return AfterValidator(checked)


def _of_its_own(name: str) -> str:
    """As ``bulk-tickets-pets``: of costly pictures of one, and of costly async jobs of the other."""
    if name.startswith(QUEUED_AS):
        other = name.removeprefix(QUEUED_AS)
        raise ValueError(f"a name can't begin with {QUEUED_AS}: the queues of {other} have such names")
    return name


def _in_the_folder(name: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise ValueError("a bundle's file name names a file in its folder")
    return name


FileName = Annotated[str, AfterValidator(_in_the_folder)]
Sha256 = Annotated[str, AfterValidator(_checksum)]


class Record(BaseModel):
    """Frozen; an unknown field is an error, so that a misspelt one can't be passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class InputSpec(Record):
    """The network's one input: a batch of pictures with three channels."""

    name: str
    dtype: Literal["uint8", "float32"]
    layout: Literal["NHWC", "NCHW"]
    width: Side
    height: Side


class PreprocessSpec(Record):
    """How a decoded picture becomes the network's input.

    Attributes:
        resize: ``crop``: the shorter side to ``shorter_side``, then the middle; ``squash``: both sides at once,
            whatever the picture's shape.
        shorter_side: pixels; only with ``crop``.
        interpolation: ``area`` averages all source pixels; ``linear`` does so down to less than twice the target
            and interpolates from there; ``nearest_exact`` takes the pixels that Pillow's NEAREST takes.
        colour: the channel order of the network's input.
        exif_orientation: whether a photo is turned as its EXIF data says.
        scale, mean, std: a value becomes ``(value * scale - mean) / std``; only, and always, for float32 inputs.
            Channels in the order of ``colour``.
    """

    resize: Literal["crop", "squash"]
    shorter_side: Side | None = None
    interpolation: Literal["area", "linear", "nearest_exact"]
    colour: Literal["rgb", "bgr"]
    exif_orientation: bool = True
    scale: Nonzero | None = None
    mean: Annotated[Triple | None, Field(strict=False)] = None
    std: Annotated[tuple[Nonzero, Nonzero, Nonzero] | None, Field(strict=False)] = None

    @model_validator(mode="after")
    def _shorter_side_goes_with_crop(self) -> Self:
        if (self.resize == "crop") != (self.shorter_side is not None):
            raise ValueError("shorter_side is given with resize crop, and only with it")
        return self


class OutputSpec(Record):
    """The network's output, shape (N, classes); softmax turns ``logits`` into probabilities."""

    name: str
    kind: Literal["probabilities", "logits"]


class Golden(Record):
    """A picture of the bundle and the label that the model must give it before it may serve."""

    file: FileName
    label: str


class Manifest(Record):
    """All of ``model.json``. What only an exported bundle needs is optional, but checked where it is given."""

    schema_version: Literal[1] = Field(1, alias="schema")
    name: Annotated[str, _word("name", NAME, 64), AfterValidator(_of_its_own)]
    version: Annotated[str, _word("version", VERSION, 32)] = FIRST_VERSION
    task: Literal["classification"] = "classification"
    precision: Literal["int8", "fp32"] = "fp32"
    input: InputSpec
    preprocess: PreprocessSpec
    output: OutputSpec
    classes: PositiveInt
    files: dict[FileName, Sha256] = {}
    golden: Golden | None = None
    licence: str | None = None
    provenance: dict[str, str] = {}

    @model_validator(mode="after")
    def _preprocessing_fits_the_input(self) -> Self:
        affine = (self.preprocess.scale, self.preprocess.mean, self.preprocess.std)
        if self.input.dtype == "float32" and None in affine:
            raise ValueError("preprocess needs scale, mean and std, because the input is float32")
        if self.input.dtype == "uint8" and affine != (None, None, None):
            raise ValueError("preprocess takes no scale, mean or std, because the input is uint8")
        shorter_side = self.preprocess.shorter_side
        if shorter_side is not None and shorter_side < max(self.input.width, self.input.height):
            raise ValueError("preprocess.shorter_side is smaller than the input")
        return self
