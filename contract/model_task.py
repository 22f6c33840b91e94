"""What a model is for: its manifest's ``task``."""

from __future__ import annotations

from enum import StrEnum


class ModelTask(StrEnum):
    """By this a request never meets a model that answers something else."""

    CLASSIFICATION = "classification"  # what a picture shows
    DETECTION = "detection"  # which objects are in it, and where
