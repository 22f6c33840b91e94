"""The camera as a request sees it: it asks for a picture and gets one that was taken after it asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import gevent
from gevent.event import AsyncResult

from api.core.camera.address import CameraAddress
from api.core.camera.credentials import read_headers, read_token
from api.core.camera.parameters import CameraParameters
from api.core.camera.source import CameraSource
from api.core.camera.turn import Turn
from api.core.errors import CameraFailed, CameraTimeout, NoCamera

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.core.errors import CameraOutcome
    from api.settings import Settings

LOCK_FILE = "camera.lock"
AS_THE_CAMERA_LIKES = CameraParameters()


class Camera:
    """One per process. It takes one picture at a time, whatever the number of processes on this machine.

    Args:
        source: None if there is no camera.
        timeout_s: from when a picture is asked for until it is there.

    Attributes:
        count_snapshot: called with what became of each snapshot, and the seconds that it took once its turn had come.
    """

    def __init__(self, source: CameraSource | None, turn: Turn, timeout_s: float) -> None:
        self._source = source
        self._turn = turn
        self._timeout_s = timeout_s
        self._to_come: dict[CameraParameters, _Snapshot] = {}
        self.count_snapshot: Callable[[CameraOutcome, float], None] = lambda _outcome, _seconds: None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises ValueError: a file that a setting names has become unreadable since the settings were checked."""
        turn = Turn(settings.feedback_dir / LOCK_FILE)
        if not settings.camera_url:
            return cls(None, turn, settings.camera_timeout_s)
        headers = read_headers(settings.camera_headers_file) if settings.camera_headers_file else {}
        if settings.camera_auth_token_file:
            headers["authorization"] = f"Bearer {read_token(settings.camera_auth_token_file)}"
        source = CameraSource(
            CameraAddress.parse(settings.camera_url),
            headers,
            retries=settings.camera_retries,
            most_bytes=settings.max_upload_bytes,
            max_pixels=settings.max_pixels,
        )
        return cls(source, turn, settings.camera_timeout_s)

    @property
    def is_there(self) -> bool:
        """Whether the service has one, which may be out of reach."""
        return self._source is not None

    def snapshot(self, parameters: CameraParameters = AS_THE_CAMERA_LIKES) -> bytes:
        """A picture's file that the camera was asked for after this call; checked as an upload is.

        Who asks while another's picture is being taken gets the next one, together with all who want it as he does.

        Raises:
            NoCamera: the service has none.
            CameraFailed: the camera does not give a picture.
            CameraTimeout: there was none within ``timeout_s`` seconds.
            BackendDown: nobody can tell whose turn it is.
        """
        if self._source is None:
            raise NoCamera("the service has no camera to take a picture with: CAMERA_URL is not set")
        snapshot = self._to_come.get(parameters)
        if snapshot is None:
            snapshot = self._to_come[parameters] = _Snapshot()
            snapshot.taking = gevent.spawn(self._take, self._source, parameters, snapshot)
        snapshot.waiting += 1
        left: CameraOutcome = "abandoned"
        try:
            snapshot.picture.wait(self._timeout_s)
            if not snapshot.picture.ready():
                left = "timeout"
                raise CameraTimeout(f"no picture came from the camera within {self._timeout_s:g} seconds")
            picture: bytes = snapshot.picture.get()
            return picture
        finally:
            snapshot.waiting -= 1
            if not snapshot.waiting and not snapshot.picture.ready():
                self._close(parameters, snapshot)
                snapshot.taking.kill(block=False)
                self._count(left, snapshot)

    def _take(self, source: CameraSource, parameters: CameraParameters, snapshot: _Snapshot) -> None:
        """In a greenlet of its own: who has asked first may leave before the others."""
        try:
            with self._turn.taken():
                self._close(parameters, snapshot)
                snapshot.began = time.perf_counter()
                picture = source.take(parameters)
                self._count("taken", snapshot)
                snapshot.picture.set(picture)
        except CameraFailed as error:
            self._count(error.fault, snapshot)
            snapshot.picture.set_exception(error)
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait are told
            self._close(parameters, snapshot)
            snapshot.picture.set_exception(error)

    def _count(self, outcome: CameraOutcome, snapshot: _Snapshot) -> None:
        self.count_snapshot(outcome, time.perf_counter() - snapshot.began)

    def _close(self, parameters: CameraParameters, snapshot: _Snapshot) -> None:
        """Who comes from now on wants a picture of a later moment."""
        if self._to_come.get(parameters) is snapshot:
            del self._to_come[parameters]


class _Snapshot:
    """One picture, and who waits for it."""

    taking: gevent.Greenlet

    def __init__(self) -> None:
        self.waiting = 0
        self.picture = AsyncResult()
        self.began = time.perf_counter()
