"""Several want a picture at once: each gets one that was taken after he asked, and the camera takes one at a time."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Self

import gevent
import pytest
from PIL import Image

from api.core.camera.camera import LOCK_FILE, Camera
from api.core.camera.parameters import CameraParameters
from api.core.errors import CameraFailed, CameraTimeout, ClientGone
from api.settings import Settings
from contract.errors import BackendDown
from tests.support.camera import AdaptedCamera, answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from api.core.errors import CameraOutcome

LONG_S, SHORT_S = 60, 0.3
ROOT = Path(__file__).parents[2]
USUAL, BRIGHT = CameraParameters(), CameraParameters(exposure_time_us=9000)
HOLDS_THE_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


class SlowCamera:
    """Sends a picture of its own for each request, when the test says so; its pictures are told by their widths."""

    def __init__(self) -> None:
        self.begun = 0
        self.at_a_time = self.most_at_a_time = 0
        self._may_end = threading.Semaphore(0)
        self._lock = threading.Lock()
        self.adapter = AdaptedCamera(self._act)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_end(100)
        self.adapter.__exit__()

    def let_end(self, pictures: int = 1) -> None:
        self._may_end.release(pictures)

    def _act(self, _adapter: AdaptedCamera, connected: socket.socket) -> None:
        with self._lock:
            self.begun += 1
            number = self.begun
            self.at_a_time += 1
            self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        self._may_end.acquire(timeout=LONG_S)
        with self._lock:
            self.at_a_time -= 1
        connected.sendall(answer(picture(number)))


def picture(number: int) -> bytes:
    file = BytesIO()
    Image.new("L", (number, 1)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def slow() -> Iterator[SlowCamera]:
    with SlowCamera() as slow:
        yield slow


@pytest.fixture
def open_camera(slow: SlowCamera, tmp_path: Path) -> Callable[..., Camera]:
    def open_camera(timeout_s: float = LONG_S) -> Camera:
        settings = Settings(
            camera_url=slow.adapter.url, camera_timeout_s=timeout_s, feedback_dir=tmp_path, camera_retries=0
        )
        return Camera.from_settings(settings)

    return open_camera


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(LONG_S):
        while not condition():
            gevent.sleep(0.005)


def asking(camera: Camera, parameters: CameraParameters = USUAL) -> gevent.Greenlet:
    """Somebody who has asked and waits."""
    asking = gevent.spawn(camera.snapshot, parameters)
    gevent.sleep(0)
    return asking


def result(asking: gevent.Greenlet) -> bytes:
    found: bytes = asking.get(timeout=LONG_S)
    return found


def test_who_asks_while_a_picture_is_taken_gets_a_later_one(open_camera, slow):
    """The one that is being taken may show the part before: a bad one would pass as the good one before it."""
    camera = open_camera()
    first = asking(camera)
    until(lambda: slow.begun == 1)
    second = asking(camera)
    slow.let_end(2)

    assert (result(first), result(second)) == (picture(1), picture(2))


def test_all_who_wait_for_the_next_picture_share_it(open_camera, slow):
    """Each has asked before it was begun; one after the other, the last would wait for all the others' pictures."""
    camera = open_camera()
    first = asking(camera)
    until(lambda: slow.begun == 1)
    others = [asking(camera) for _ in range(20)]
    slow.let_end(2)

    assert result(first) == picture(1)
    assert {result(other) for other in others} == {picture(2)}
    assert slow.begun == 2


def test_who_wants_another_picture_shares_none_and_comes_in_his_turn(open_camera, slow):
    camera = open_camera()
    first = asking(camera)
    until(lambda: slow.begun == 1)
    others = [asking(camera, BRIGHT), asking(camera), asking(camera, BRIGHT)]
    slow.let_end(3)

    assert result(first) == picture(1)
    assert [result(other) for other in others] == [picture(2), picture(3), picture(2)]
    assert slow.most_at_a_time == 1
    assert ["exposure_time_us=9000" in head for head in slow.adapter.heads] == [False, True, False]


def test_a_camera_is_asked_by_one_process_at_a_time(open_camera, slow):
    """Two that know nothing of each other but their settings: many a camera takes a second request for a fault."""
    here, there = open_camera(), open_camera()
    all_of_them = [asking(here)]
    until(lambda: slow.begun == 1)
    all_of_them += [asking(there), asking(here), asking(there, BRIGHT), asking(here, BRIGHT)]
    gevent.sleep(0.1)
    assert slow.begun == 1

    slow.let_end(5)

    assert len({result(one) for one in all_of_them}) == 5
    assert slow.most_at_a_time == 1


def test_a_process_with_many_who_wait_lets_the_other_go_between(open_camera, slow):
    here, there = open_camera(), open_camera()
    many = [asking(here, CameraParameters(quality=quality)) for quality in range(1, 8)]
    until(lambda: slow.begun == 1)
    one = asking(there)
    slow.let_end(8)

    assert result(one) == picture(2)
    assert {result(asked) for asked in many} == {picture(number) for number in (1, 3, 4, 5, 6, 7, 8)}


def test_a_process_that_dies_takes_no_turn_with_it(open_camera, slow, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, str(tmp_path / LOCK_FILE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    waiting = asking(open_camera())
    slow.let_end()
    gevent.sleep(0.05)
    assert slow.begun == 0

    holder.kill()
    holder.communicate()
    assert result(waiting) == picture(1)


def test_who_waits_too_long_for_his_turn_is_told_and_does_not_use_it(open_camera, slow, tmp_path):
    """A picture that nobody is there for would only keep the next ones waiting."""
    camera = open_camera(SHORT_S)
    counted = outcomes_of(camera)
    held = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(CameraTimeout):
        camera.snapshot()
    os.close(held)
    slow.let_end()

    assert result(asking(open_camera())) == picture(1)
    assert slow.begun == 1
    assert counted == ["timeout"]


def test_a_camera_that_was_too_slow_is_asked_again_by_the_next(open_camera, slow):
    camera = open_camera(SHORT_S)
    with pytest.raises(CameraTimeout):
        camera.snapshot()
    slow.let_end(2)

    assert result(asking(open_camera())) == picture(2)


def test_who_came_later_waits_on_when_the_first_has_given_up(open_camera, slow, tmp_path):
    """His own time is not over: the picture is taken for him."""
    camera = open_camera(LONG_S)
    counted = outcomes_of(camera)
    held = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    first, second = asking(camera), asking(camera)
    first.kill(ClientGone("gone"))
    os.close(held)
    slow.let_end()

    assert result(second) == picture(1)
    assert counted == ["taken"]


def test_a_picture_that_nobody_waits_for_any_more_is_given_up(open_camera, slow):
    """Its clients have hung up; the camera is free for the next one."""
    camera = open_camera()
    counted = outcomes_of(camera)
    gone = asking(camera)
    until(lambda: slow.begun == 1)
    gone.kill(ClientGone("gone"))
    next_one = asking(camera)
    slow.let_end(2)

    assert result(next_one) == picture(2)
    assert counted == ["abandoned", "taken"]


def test_all_who_wait_are_told_that_a_picture_failed(open_camera, slow):
    camera = open_camera()
    first = asking(camera)
    until(lambda: slow.begun == 1)
    others = [asking(camera), asking(camera)]
    slow.adapter.acts = [lambda _adapter, connected: connected.sendall(answer(b"no picture"))]
    slow.let_end()

    assert result(first) == picture(1)
    for other in others:
        with pytest.raises(CameraFailed, match="no picture"):
            result(other)


def test_without_a_file_to_lock_nothing_is_asked_and_the_sender_may_come_again(slow, tmp_path):
    (tmp_path / "file").touch()
    camera = Camera.from_settings(Settings(camera_url=slow.adapter.url, feedback_dir=tmp_path / "file"))

    for _ in range(2):
        with pytest.raises(BackendDown, match=r"^the camera can't be used at the moment$"):
            camera.snapshot()
    assert slow.begun == 0


def outcomes_of(camera: Camera) -> list[CameraOutcome]:
    """What is counted from now on."""
    counted: list[CameraOutcome] = []
    camera.count_snapshot = lambda outcome, _seconds: counted.append(outcome)
    return counted


PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
import sys
from pathlib import Path
import gevent
from api.core.camera.camera import Camera
from api.settings import Settings

camera = Camera.from_settings(Settings(camera_url=sys.argv[1], feedback_dir=Path(sys.argv[2]), camera_timeout_s=60))
waiting = gevent.spawn(camera.snapshot)
print("others go on", flush=True)
while not waiting.ready():
    gevent.sleep(0.01)
    print(".", flush=True)
print(len(waiting.get()), flush=True)
"""


def test_in_a_process_as_gunicorn_makes_it_other_requests_go_on_meanwhile(by_tls, tmp_path):
    """Its sockets, TLS and sleep are gevent's; this is done over TLS, where there are most of them."""
    environment = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "tls.pem")}
    process = subprocess.Popen(
        [sys.executable, "-c", PATCHED, by_tls.adapter.url, str(tmp_path)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    until(lambda: by_tls.begun == 1)
    lines = [process.stdout.readline() for _ in range(5)]
    by_tls.let_end()
    rest, errors = process.communicate(timeout=LONG_S)

    assert lines == ["others go on\n", *([".\n"] * 4)]
    assert rest.splitlines()[-1] == str(len(picture(1)))
    assert errors == ""


@pytest.fixture
def by_tls(slow: SlowCamera, tmp_path: Path) -> SlowCamera:
    slow.adapter.encrypt(tmp_path)
    return slow
