"""The detector that the project builds, for what shows or tests a service that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.bundle import MANIFEST
from model.export.__main__ import make
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2
from tests.support.stack import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def detector_bundle(scratch: Path) -> Path:
    """The one that ``make model`` has built; where it has not, it is built in ``scratch``.

    Raises:
        ExportError: its package can't be had.
    """
    (name,) = SSDLITE_MOBILENETV2.folders
    if not (ROOT / "models" / name / MANIFEST).exists():
        make(scratch, SSDLITE_MOBILENETV2)
        return scratch / name
    return ROOT / "models" / name
