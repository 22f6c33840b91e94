"""The manifest of a model, ``model.json``: what it says, in types. See docs/bring-your-own-model.md."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from contract.model_name import NAME, VERSION
from contract.model_version import FIRST_VERSION
from model.detection.spec import DetectionSpec
from model.manifest_fields import FileName, Nonzero, Record, Sha256, Side, Triple, later, word


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
            whatever the picture's shape; ``letterbox``: all of it in its shape, with bars where the input is larger.
        shorter_side: pixels; only with ``crop``.
        padding: the bars' grey, 0 to 255; only with ``letterbox``.
        place: of the picture between its bars; only with ``letterbox``, which puts it in the middle without it.
        interpolation: ``area`` averages all source pixels; ``linear`` does so down to less than twice the target
            and interpolates from there; ``nearest_exact`` takes the pixels that Pillow's NEAREST takes.
        colour: the channel order of the network's input.
        exif_orientation: whether a photo is turned as its EXIF data says.
        scale, mean, std: a value becomes ``(value * scale - mean) / std``; only, and always, for float32 inputs.
            Channels in the order of ``colour``.
    """

    resize: Literal["crop", "squash", "letterbox"]
    shorter_side: Side | None = None
    padding: Annotated[int, Field(ge=0, le=255)] | None = later()
    place: Literal["middle", "top_left"] | None = later()
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

    @model_validator(mode="after")
    def _bars_go_with_letterbox(self) -> Self:
        if (self.resize == "letterbox") != (self.padding is not None):
            raise ValueError("padding is given with resize letterbox, and only with it")
        if self.place is not None and self.resize != "letterbox":
            raise ValueError("place is given with resize letterbox only")
        return self


class OutputSpec(Record):
    """A classifier's output, shape (N, classes); softmax turns ``logits`` into probabilities."""

    name: str
    kind: Literal["probabilities", "logits"]


def _is_a_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (0 <= left < right and 0 <= top < bottom):
        raise ValueError("a box is left, top, right and bottom, in pixels of the picture")
    return box


class GoldenObject(Record):
    """What a detector must find in its golden picture: the label, and left, top, right and bottom in pixels."""

    label: str
    box: Annotated[tuple[float, float, float, float], Field(strict=False), AfterValidator(_is_a_box)]


class Golden(Record):
    """A picture of the bundle, and what the model must say of it before it may serve.

    Attributes:
        label: of a classifier.
        objects: of a detector.
    """

    file: FileName
    label: str | None = None
    objects: Annotated[tuple[GoldenObject, ...], Field(strict=False)] = later(())


class Manifest(Record):
    """All of ``model.json``. What only an exported bundle needs is optional, but checked where it is given.

    A classifier has ``output``, a detector ``detection``.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    name: Annotated[str, word("name", NAME, 64)]
    version: Annotated[str, word("version", VERSION, 32)] = FIRST_VERSION
    task: Literal["classification", "detection"] = "classification"
    precision: Literal["int8", "fp32"] = "fp32"
    input: InputSpec
    preprocess: PreprocessSpec
    output: OutputSpec | None = later()
    detection: Annotated[DetectionSpec, Field(discriminator="form")] | None = later()
    classes: PositiveInt
    files: dict[FileName, Sha256] = Field(default_factory=dict)
    golden: Golden | None = None
    licence: str | None = None
    provenance: dict[str, str] = Field(default_factory=dict)

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

    @model_validator(mode="after")
    def _output_fits_the_task(self) -> Self:
        needed, other = ("output", "detection") if self.task == "classification" else ("detection", "output")
        if getattr(self, needed) is None:
            raise ValueError(f"{needed} is missing, because the task is {self.task}")
        if getattr(self, other) is not None:
            raise ValueError(f"{other} is for another task than {self.task}")
        return self

    @model_validator(mode="after")
    def _golden_fits_the_task(self) -> Self:
        if self.golden is not None:
            needed, other = ("label", "objects") if self.task == "classification" else ("objects", "label")
            if not getattr(self.golden, needed):
                raise ValueError(f"golden.{needed} is missing, because the task is {self.task}")
            if getattr(self.golden, other):
                raise ValueError(f"golden.{other} is for another task than {self.task}")
        return self

    @model_validator(mode="after")
    def _boxes_are_of_the_upright_picture(self) -> Self:
        if self.task == "detection" and not self.preprocess.exif_orientation:
            raise ValueError("preprocess.exif_orientation must be true, because boxes are those of the upright picture")
        return self
