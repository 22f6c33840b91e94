"""What senders have said that pictures show: reports with a correct label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.feedback.reader import StoredReports
from contract.image_store import NAME
from contract.model_version import ModelVersion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.feedback.log import FeedbackLog
    from api.feedback.pictures import ReportedPictures


class Corrections:
    """One per API process."""

    def __init__(self, feedback: FeedbackLog, pictures: ReportedPictures) -> None:
        self._feedback = feedback
        self._pictures = pictures

    def of(self, model: str) -> Iterator[tuple[str, str]]:
        """Pictures that a model of this name has classified, with the label that the latest report names, newest first.

        Raises:
            BackendDown: the reports can't be read.
        """
        seen = set()
        for report in StoredReports.at(self._feedback.path).newest_first():
            label = report.correct_label.strip()
            if label and _is_of(report.model, model) and NAME.fullmatch(report.image) and report.image not in seen:
                seen.add(report.image)
                yield report.image, label

    def read(self, picture: str) -> bytes:
        """Raises PictureNotFound: it is kept no longer."""
        return self._pictures.read(picture)


def _is_of(told: str, model: str) -> bool:
    """A report may name no model, as those that programs send."""
    return not told or ModelVersion.from_key(told).name == model
