"""``python -m model.tests.peak_memory PICTURE``: prepares it for a network, and prints the most memory taken, in kB."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

from contract.limits import DEFAULT_MAX_PIXELS
from model.decode import Decoder
from model.errors import PictureError
from model.manifest import InputSpec, PreprocessSpec
from model.preprocess import preprocess

CROP = PreprocessSpec(resize="crop", shorter_side=256, interpolation="linear", colour="rgb")
UINT8 = InputSpec(name="pixels", dtype="uint8", layout="NHWC", width=224, height=224)

if __name__ == "__main__":
    with suppress(PictureError):
        preprocess(Path(sys.argv[1]).read_bytes(), Decoder(DEFAULT_MAX_PIXELS), CROP, UINT8)
    status = Path("/proc/self/status").read_text()
    (peak_kb,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    sys.stdout.write(peak_kb)
