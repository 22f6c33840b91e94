"""What schemathesis sends for a file of OpenAPI: pictures; broken ones have tests of their own."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import schemathesis
from hypothesis import strategies

PICTURES = sorted((Path(__file__).parents[1] / "pictures").glob("*.jpg"))

FILES = [picture.read_bytes() for picture in PICTURES]

schemathesis.openapi.format("binary", strategies.sampled_from(FILES))
schemathesis.openapi.format("base64", strategies.sampled_from([b64encode(file).decode() for file in FILES]))
