"""What tests ask of pictures that they give to the API's core themselves."""

from __future__ import annotations

from dataclasses import replace

from api.core.inference import Asked
from contract.messages import ClassifyJob

CLASSIFICATION = Asked(ClassifyJob)
LENIENT = replace(CLASSIFICATION, strict=False)
