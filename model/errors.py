"""What can go wrong on the worker side. Whose fault it is decides the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.image_header.header import UnsupportedHeader
from contract.messages import FailureKind

if TYPE_CHECKING:
    from contract.image_header.header import BrokenHeader


class ModelError(Exception):
    """Our fault, or the installation's: the worker can't do its part."""


class BundleError(ModelError):
    """The model can't be used as it lies on disk; the message says which check failed."""


class SandboxError(ModelError):
    """The process that reads unusual pictures does not start; it says why on standard error."""


class PictureError(Exception):
    """The picture's fault, so its sender's: it has no answer, today or after any retry."""

    kind: FailureKind


class UndecodableImage(PictureError):
    """The bytes are no picture that the worker reads."""

    kind = FailureKind.UNDECODABLE


class DamagedImage(UndecodableImage):
    """Bytes of the picture are missing or wrong; what is left of it may be wanted all the same."""


class UnsupportedImage(UndecodableImage):
    """A sound picture, perhaps, but of a kind that is not read."""


class TooManyPixels(PictureError):
    """The picture, or something within it, is more than the worker decodes: pixels, memory or time."""

    kind = FailureKind.TOO_MANY_PIXELS


def undecodable(error: BrokenHeader) -> UndecodableImage:
    """What a picture with such a header is."""
    return (UnsupportedImage if isinstance(error, UnsupportedHeader) else DamagedImage)(str(error))
