"""What is kept of an inspection, whichever route it came by: how it ended, and the latest picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.inspection_bodies import shown_inspection
from api.inspection.record import Inspection
from api.metrics.recorder import Metrics
from api.services import Services
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from api.core.client import Client
    from api.http.schemas import Inspected
    from api.http.schemas import Inspection as Shown
    from contract.messages import Detection


def keep_inspection(picture: str, detection: Detection, found: Inspected, client: Client) -> Shown:
    """Count an inspection and keep it, unless its sender shares nothing; returns it as it is shown."""
    Metrics.current().count_inspection(good=found["decision"])
    done = Inspection.now(
        picture=picture,
        model=str(ModelVersion(detection.model, detection.version)),
        digest=detection.digest,
        found=dict(found),
    )
    kept = None if client.private else Services.current().inspections.keep(done)  # others with such a key would see it
    return shown_inspection(kept or done, kept=kept is not None)


def keep_latest(picture: str, detection: Detection, client: Client) -> None:
    """Let the stored picture be the latest, with the objects that counted, unless its sender shares nothing."""
    if not client.private:
        Services.current().latest.keep(picture, detection)
