"""Both decoders on the same files: how far apart, who read it, who refused it, and what it cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
import psutil

from model.decode import Decoder
from model.errors import PictureError
from model.evaluation.pictures import viewer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from model.evaluation.pictures.file import File
    from model.sandbox.messages import DecodeRequest, Found

    Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of one file.

    Attributes:
        file: what was decoded.
        sandboxed: whether the sandbox was asked.
        refusal: ours, or None.
        viewer_refusal: Pillow's, or None.
        from_shown: our mean absolute error, of 255, from what was encoded; infinite if the size is another.
        from_viewer: from what Pillow makes of it.
        viewer_from_shown: Pillow's error from what was encoded.
    """

    file: File
    sandboxed: bool
    refusal: str | None
    viewer_refusal: str | None
    from_shown: float | None
    from_viewer: float | None
    viewer_from_shown: float | None

    @property
    def viewer_errs(self) -> bool:
        """Pillow shows something else than was encoded, so it is no judge of us."""
        return self._beyond(self.viewer_from_shown)

    @property
    def fault(self) -> str | None:
        """What is wrong with the answer that we gave, or None."""
        if self._beyond(self.from_shown):
            return f"{self.from_shown:.1f} from what was encoded{', as is Pillow' if self.viewer_errs else ''}"
        if self._beyond(self.from_viewer) and not self.viewer_errs:
            return f"{self.from_viewer:.1f} from Pillow's"
        return None

    def _beyond(self, error: float | None) -> bool:
        return error is not None and error > self.file.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Files of one format and colour; processor time in seconds, of ours with that of its sandbox."""

    format: str
    colour: str
    comparisons: tuple[Comparison, ...]
    cpu_s: float
    viewer_cpu_s: float


class Bench:
    """Owns our decoder, its sandbox warm. Not for several threads."""

    def __init__(self, max_pixels: int) -> None:
        self._decoder = Decoder(max_pixels)
        self._sandboxed = False
        sandbox = self._decoder._sandbox  # noqa: SLF001 - who read a picture matters to nobody else
        self._ask_sandbox = sandbox.decode
        sandbox.decode = self._noted  # type: ignore[method-assign]
        self._process = psutil.Process()
        viewer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def compare(self, files: Sequence[File]) -> Group:
        """Files of one format and colour: first all with our decoder, then all with Pillow, for each one's time."""
        start = self._cpu_s()
        ours = [self._ours(file.image) for file in files]
        middle = self._cpu_s()
        theirs = [_result(partial(viewer.view, file.image)) for file in files]
        end = self._cpu_s()
        return Group(
            format=files[0].format,
            colour=files[0].colour,
            comparisons=tuple(
                _comparison(file, our, their, sandboxed=asked)
                for file, (our, asked), their in zip(files, ours, theirs, strict=True)
            ),
            cpu_s=max(0.0, middle - start),  # the time of a sandbox that died in between is lost
            viewer_cpu_s=end - middle,
        )

    def _ours(self, image: bytes) -> tuple[Pixels | Exception, bool]:
        self._sandboxed = False
        seen = _result(partial(self._rgb, image))
        if isinstance(seen, Exception) and not isinstance(seen, PictureError):
            raise seen
        return seen, self._sandboxed

    def _noted(self, image: bytes, request: DecodeRequest) -> Found:
        self._sandboxed = True
        return self._ask_sandbox(image, request)

    def _rgb(self, image: bytes) -> Pixels:
        pixels = self._decoder.decode(image, exif_orientation=True, reduction=lambda _: 1).pixels
        return np.asarray(pixels[..., ::-1], np.uint8)

    def _cpu_s(self) -> float:
        """The processor time that this process has taken and those below it, which are the sandbox's."""
        below = [child.cpu_times() for child in self._process.children(recursive=True)]
        return time.process_time() + sum(used.user + used.system for used in below)


def _result(decode: Callable[[], Pixels]) -> Pixels | Exception:
    try:
        return decode()
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise what they like
        return error


def _comparison(file: File, our: Pixels | Exception, their: Pixels | Exception, *, sandboxed: bool) -> Comparison:
    return Comparison(
        file=file,
        sandboxed=sandboxed,
        refusal=str(our) if isinstance(our, Exception) else None,
        viewer_refusal=f"{type(their).__name__}: {their}" if isinstance(their, Exception) else None,
        from_shown=_error(our, file.shown),
        from_viewer=_error(our, their),
        viewer_from_shown=_error(their, file.shown),
    )


def _error(one: Pixels | Exception, other: Pixels | Exception | None) -> float | None:
    """The mean absolute difference, of 255; infinite between pictures of different sizes, None if one is missing."""
    if other is None or isinstance(one, Exception) or isinstance(other, Exception):
        return None
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
