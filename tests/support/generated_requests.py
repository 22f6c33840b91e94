"""What schemathesis sends for a file of OpenAPI: pictures; broken ones have tests of their own."""

from __future__ import annotations

from pathlib import Path

import schemathesis
from hypothesis import strategies

PICTURES = sorted((Path(__file__).parents[1] / "pictures").glob("*.jpg"))

schemathesis.openapi.format("binary", strategies.sampled_from([picture.read_bytes() for picture in PICTURES]))
