"""The worker's settings; the environment variable is the field's name in capitals."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator

from contract.settings import PictureSettings, SharedSettings, Texts


class ModelSettings(PictureSettings):
    """What classifies pictures, with a queue or without one."""

    models: Texts = Field(
        (),
        description="Which models are served, separated by commas: names, name@version, or paths (with a slash). "
        "Without it and without MODEL_PATH: for each task the one in MODELS_DIR; of several, resnet50 and "
        "ssdlite-mobilenetv2.",
    )
    models_dir: Path = Field(Path("models"), description="A folder of bundles, where models are found by their names.")
    model_path: Path | None = Field(
        None,
        description="A single model, if MODELS names none: a bundle, a bare .onnx file, or a folder of bundles of "
        "which the processor's best is taken.",
    )
    labels_path: Path | None = Field(None, description="Labels of a bare .onnx file, one a line.")

    @field_validator("model_path")
    @classmethod
    def _named_once(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        """Neither is a part of the other: one of them would have no effect."""
        if path is not None and others.data.get("models"):
            raise ValueError("MODELS is set too: keep one of them (a path may stand in MODELS, with a slash in it)")
        return path


class Settings(SharedSettings, ModelSettings):
    """What a worker on the queue reads."""

    num_threads: int = Field(1, ge=1, le=256, description="Intra-op threads of the session. More workers scale better.")
    batch_max: int = Field(8, ge=1, le=256, description="Most pictures in one session run.")
    batch_wait_ms: int = Field(
        0, ge=0, le=1000, description="How long a batch that is not full waits for stragglers, in milliseconds."
    )
    result_ttl_s: int = Field(300, ge=1, description="How long an answer serves the same picture, in seconds.")
