"""What ``make run`` can be told; everything else goes through to the parts unchanged."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def usable_cores() -> int:
    """Cores that this process may use: a container's or taskset's share, not the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    host: str = Field("127.0.0.1", description="IPv4 address or host name that the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port that the API listens on.")
    workers: int = Field(default_factory=usable_cores, ge=1, le=256, description="Workers; by default one per core.")
    data_dir: Path = Field(Path("data"), description="Folder for the queue's log, uploads, feedback and log files.")
    model_path: Path = Field(Path("models"), description="As in the worker's settings.")

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def queue_dir(self) -> Path:
        return self.data_dir / "queue"
