"""The settings of ``make run`` itself; all others are passed on to the processes unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.bucket_address import checked_place
from model.cpu import usable_cpus


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", description="IPv4 address or host name that the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the API listens on.")
    tls_cert_file: Path | None = Field(None, description="As in the API's settings.")
    workers: int = Field(default_factory=usable_cpus, ge=1, le=256, description="Workers; by default one per core.")
    data_dir: Path = Field(Path("data"), description="Folder for the queue's log, uploads, feedback and log files.")
    image_store: Annotated[str, BeforeValidator(checked_place)] = Field(
        "", description="As in the API's settings, if it is a bucket; a folder is always in DATA_DIR."
    )
    log_mb: int = Field(100, ge=1, le=100_000, description="Room for all log files of `make run` together, in MB.")
    disk_reserve_mb: int = Field(500, ge=0, description="As in the API's settings.")
    request_timeout_s: float = Field(30, gt=0, le=600, description="As in the API's settings.")
    api_keys_file: Path | None = Field(None, description="As in the API's settings.")
    models_dir: Path = Field(Path("models"), description="As in the worker's settings.")
    model_path: Path | None = Field(None, description="As in the worker's settings.")

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def queue_dir(self) -> Path:
        return self.data_dir / "queue"
