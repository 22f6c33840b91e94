"""What can go wrong on the worker side. Whose fault it is decides the class."""

from __future__ import annotations

from contract.messages import FailureKind


class ModelError(Exception):
    """Our fault, or the installation's: the worker can't do its part."""


class BundleError(ModelError):
    """The model can't be used as it lies on disk; the message says which check failed."""


class PictureError(Exception):
    """The picture's fault, so its sender's: it has no answer, today or after any retry."""

    kind: FailureKind


class UndecodableImage(PictureError):
    """The bytes are no picture that OpenCV reads, or they are cut short."""

    kind = FailureKind.UNDECODABLE


class TooManyPixels(PictureError):
    """The picture's header states more pixels than the worker decodes."""

    kind = FailureKind.TOO_MANY_PIXELS
