"""The sandbox: whatever a picture does to its reader, the worker lives, says so, and takes the next."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import numpy as np
import pytest

from contract.limits import DEFAULT_MAX_PIXELS
from model.errors import SandboxError, TooManyPixels, UndecodableImage
from model.sandbox import limits, sandbox
from model.sandbox.limits import WALL_LIMIT_S
from model.sandbox.messages import DecodeRequest
from model.sandbox.sandbox import Sandbox
from model.serving.lease import COMPUTE_LIMIT_S
from tests.pictures import odd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cv2.typing import MatLike

PIXELS = 451 * 300


@pytest.fixture
def box() -> Iterator[Sandbox]:
    box = Sandbox(DEFAULT_MAX_PIXELS)
    yield box
    box.close()


@pytest.fixture
def read(box: Sandbox) -> Callable[..., MatLike]:
    """What the sandbox makes of a GIF that states as many pixels as the photo has, or as many as the test says."""

    def read(image: bytes, *, pixels: int = PIXELS, media_type: str = "image/gif") -> MatLike:
        request = DecodeRequest(
            media_type=media_type, pixels=pixels, shorter_side=1, reduction=1, exif_orientation=True, strict=True
        )
        return box.decode(image, request).pixels

    return read


def reader_of(box: Sandbox) -> int:
    """The process that reads for it: its server's only child."""
    assert box._server is not None
    children = Path(f"/proc/{box._server.pid}/task/{box._server.pid}/children")
    while not (readers := children.read_text().split()):
        time.sleep(0.01)  # it is being forked
    (reader,) = readers
    return int(reader)


def difference(pixels, picture):
    """The mean difference, of 255, between BGR pixels and a Pillow picture."""
    return np.abs(pixels[..., ::-1].astype(int) - np.asarray(picture).astype(int)).mean()


def test_a_reader_that_dies_is_replaced_and_the_picture_gets_its_answer(box, read, caplog):
    """The machine may have been short of memory for another reason than this picture."""
    read(odd.gif())
    server = box._server.pid
    os.kill(reader_of(box), signal.SIGKILL)

    assert read(odd.gif()).shape == (300, 451, 3)
    assert caplog.messages == [f"a reader of pictures died, exit code {-signal.SIGKILL}"]
    assert box._server.pid == server, "the decoders are loaded once"


def test_a_server_that_dies_is_replaced_too(box, read):
    read(odd.gif())
    os.killpg(box._server.pid, signal.SIGKILL)

    assert read(odd.gif()).shape == (300, 451, 3)


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Has the sandbox run a program of the test's, in which its modules are changed, in place of its own."""

    def changed(changes: str) -> None:
        program = tmp_path / "changed.py"
        program.write_text(
            "import itertools, os, sys\n"
            "sys.path.insert(0, '.')\n"
            "from model.sandbox import limits, process\n" + textwrap.dedent(changes) + "\nprocess.serve(1_000_000)\n"
        )
        interpreter = tmp_path / "interpreter"
        interpreter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}"\n')
        interpreter.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(interpreter))

    return changed


def test_a_picture_that_ends_every_reader_is_refused(box, read, changed, caplog):
    """Whatever it does to the process, the worker lives and says so; and its server need not be started again."""
    changed("process.picture.read = lambda *_: os.abort()")

    with pytest.raises(UndecodableImage, match="the end of whatever reads it"):
        read(odd.gif())
    assert caplog.messages == 2 * [f"a reader of pictures died, exit code {-signal.SIGABRT}"]
    assert box._server.poll() is None


def test_decoders_that_cannot_be_loaded_are_no_pictures_fault(read, changed, capfd):
    """Its sender would be told that it is damaged. So the batch fails, and the operator reads why."""
    changed("process.load_decoders = lambda: sys.exit('a library is missing')")

    with pytest.raises(SandboxError, match="the sandbox does not run: exit code 1"):
        read(odd.gif())
    assert "a library is missing" in capfd.readouterr().err


def test_what_decoders_complain_of_is_not_the_workers_log(read, changed, capfd):
    changed("process.picture.read = lambda *_: print('odd', file=sys.stderr) or os._exit(1)")

    with pytest.raises(UndecodableImage):
        read(odd.gif())
    assert capfd.readouterr().err == ""


def test_a_picture_that_takes_too_much_processor_time_is_refused_at_once(read, changed, caplog):
    """Nothing in a file says how long it will take. A second try would only take as long."""
    changed(
        """
        process.limits = lambda *_: limits.Limits(2**30, 1)
        process.picture.read = lambda *_: sum(itertools.repeat(0))
        """
    )

    with pytest.raises(TooManyPixels, match="more time than others of its size"):
        read(odd.gif())
    assert caplog.messages == [f"a reader of pictures died, exit code {-signal.SIGXCPU}"]


def test_a_picture_that_takes_too_much_memory_is_too_large(read, changed, caplog):
    """It is tried by a fresh reader first: what earlier pictures have left behind may have been the reason."""
    changed("process.picture.read = lambda *_: bytes(2**40)")

    with pytest.raises(TooManyPixels, match="more memory than others of its size"):
        read(odd.gif())
    assert caplog.messages == 2 * [f"a reader of pictures died, exit code {limits.EXIT_OUT_OF_MEMORY}"]


def test_a_reader_may_have_as_much_memory_as_a_picture_of_that_size_needs(box, read):
    """Measured by what the header states, beyond what the reader starts with: about 400 MB of addresses."""
    image = odd.gif()
    read(image, pixels=900_000)
    lines = Path(f"/proc/{reader_of(box)}/limits").read_text().splitlines()
    soft = next(line.split()[3] for line in lines if line.startswith("Max address space"))
    allowed = limits.limits("image/gif", 900_000, len(image)).memory_bytes

    assert allowed < int(soft) < allowed + 1024**3


def test_a_large_picture_gets_a_reader_of_its_own(box, read):
    """What it leaves behind would count as the next one's."""
    read(odd.gif())
    first = reader_of(box)
    read(odd.gif())
    assert reader_of(box) == first

    read(odd.gif(), pixels=sandbox.FRESH_READER_AFTER_PIXELS + 1)
    read(odd.gif())

    assert reader_of(box) != first


@pytest.mark.long
def test_a_reader_that_gives_no_answer_is_given_up(box, read, monkeypatch, caplog):
    """On a machine with too much to do, some seconds of the processor's time may never come together."""
    read(odd.gif())
    os.kill(reader_of(box), signal.SIGSTOP)
    with monkeypatch.context() as shortly:
        shortly.setattr(sandbox, "WALL_LIMIT_S", 0.2)
        with pytest.raises(TooManyPixels, match="more time than others of its size"):
            read(odd.gif())

    assert caplog.messages == [f"a reader of pictures died, exit code {-signal.SIGKILL}"]
    assert read(odd.gif()).shape == (300, 451, 3)


@pytest.mark.long
def test_a_reader_that_takes_no_picture_is_given_up(box, read, monkeypatch):
    """More bytes than a socket holds wait for their reader."""
    read(odd.gif())
    os.kill(reader_of(box), signal.SIGSTOP)
    monkeypatch.setattr(sandbox, "WALL_LIMIT_S", 0.2)

    with pytest.raises(TooManyPixels, match="more time than others of its size"):
        read(odd.gif() + bytes(1024 * 1024))


def test_a_picture_is_given_up_before_its_worker_takes_itself_to_hang():
    """Else the sender of a bad picture would get a 500, after it has ended four workers."""
    costliest = max(limits.limits(kind, DEFAULT_MAX_PIXELS, 0).cpu_s for kind in limits._COSTS)

    assert costliest < WALL_LIMIT_S < COMPUTE_LIMIT_S


@pytest.mark.parametrize("trouble", [MemoryError, KeyboardInterrupt])
def test_after_a_failure_between_question_and_answer_no_picture_gets_anothers_pixels(read, monkeypatch, trouble):
    """The answer that was not read would be the next one's, and its label another person's."""
    with monkeypatch.context() as once:
        once.setattr(sandbox, "_read", Mock(side_effect=trouble))
        with pytest.raises(trouble):
            read(odd.gif())

    assert difference(read(odd.gif(odd.ROCKET)), odd.opened(odd.gif(odd.ROCKET)).convert("RGB")) == 0
    assert difference(read(odd.gif()), odd.opened(odd.gif()).convert("RGB")) == 0


def test_the_sandbox_knows_nothing_of_the_service(box, read, monkeypatch):
    """A picture that took the process over would find no address and no key in it."""
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:6379/0")
    read(odd.gif())

    assert b"secret" not in Path(f"/proc/{reader_of(box)}/environ").read_bytes()


def test_no_descriptor_of_the_worker_reaches_a_reader(box, read, tmp_path):
    """Neither Redis' connection nor another picture's file."""
    with (tmp_path / "file").open("wb") as file:
        os.set_inheritable(file.fileno(), True)  # as a careless library might
        read(odd.gif())
        descriptors = {path.readlink().name for path in Path(f"/proc/{reader_of(box)}/fd").iterdir()}

    assert "file" not in descriptors


@pytest.mark.parametrize(
    "reply",
    [
        "REPLY.pack(9999, 0, 0, 0, 0, 0)",
        "REPLY.pack(4, 0, 0, 0, 0, 0) + b'null'",
        "REPLY.pack(0, 0, 7, 0, 7, 7)",
        "REPLY.pack(0, 9999, 9999, 0, 7, 7)",
        "REPLY.pack(0, 1, 1, 0, 9999, 9999) + bytes(3)",
    ],
    ids=["a refusal without an end", "a refusal of no kind", "no pixels", "too many pixels", "too large a picture"],
)
def test_nothing_is_taken_from_a_reader_on_trust(read, changed, reply):
    """A picture that took it over may answer what it likes; its neighbours in the batch are not to pay for it."""
    changed(f"process.Reader._answer = lambda self, stream, *_: stream.write(process.{reply})")

    with pytest.raises(UndecodableImage, match="the end of whatever reads it"):
        read(odd.gif())


def test_nothing_of_a_sandbox_outlives_its_worker(box, read, capfd):
    """The worker may be killed; its sockets then end."""
    read(odd.gif())
    server, reader = box._server, reader_of(box)
    box._stream.close()
    box._control.close()
    box._stream = box._control = None

    server.wait(timeout=20)

    assert not Path(f"/proc/{reader}").exists()
    assert capfd.readouterr().err == ""
    box._server = None
