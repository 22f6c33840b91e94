"""The worker's settings; the environment variable is the field's name in capitals."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from contract.settings import PictureSettings, SharedSettings


class ModelSettings(PictureSettings):
    """What classifies pictures, with a queue or without one."""

    model_path: Path = Field(
        Path("models"),
        description="A bundle, a bare .onnx file, or a folder of bundles of which the processor's best is taken.",
    )
    labels_path: Path | None = Field(None, description="Labels of a bare .onnx file, one a line.")


class Settings(SharedSettings, ModelSettings):
    """What a worker on the queue reads."""

    num_threads: int = Field(1, ge=1, le=256, description="Intra-op threads of the session. More workers scale better.")
    batch_max: int = Field(8, ge=1, le=256, description="Most pictures in one session run.")
    batch_wait_ms: int = Field(
        0, ge=0, le=1000, description="How long a batch that is not full waits for stragglers, in milliseconds."
    )
    result_ttl_s: int = Field(300, ge=1, description="How long an answer serves the same picture, in seconds.")
