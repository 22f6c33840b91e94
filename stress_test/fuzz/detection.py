"""What the service has beside its usual model, so that odd input reaches detection too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.tests import detectors
from stress_test.fuzz import pattern_checks
from stress_test.site import MODELS

if TYPE_CHECKING:
    from pathlib import Path


def with_detection(folder: Path) -> dict[str, str]:
    """Settings for a detector and a pattern, which are written into ``folder``."""
    detector = detectors.write_bundle(folder / "reds")
    patterns = folder / "patterns"
    patterns.mkdir()
    (patterns / f"{pattern_checks.KEY}.yaml").write_text(pattern_checks.PATTERNS)
    return {"MODELS": f"{MODELS},{detector}", "PATTERN_DIR": str(patterns)}
