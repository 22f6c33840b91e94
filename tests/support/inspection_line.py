"""An inspection line on this machine: a pattern, parts that fit it and that do not, and a camera that sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from tests.pictures import odd
from tests.support.camera import AdaptedCamera, answer
from tests.support.upload_page import PICTURES

if TYPE_CHECKING:
    import socket

DETECTOR = "ssdlite-mobilenetv2"
CUP, CAT = PICTURES / "coffee.jpg", PICTURES / "chelsea.jpg"
TABLE = "set:\n  - {label: cup, inner: [0.34, 0.11, 0.64, 0.57], outer: [0.24, 0.01, 0.74, 0.67]}\n"  # as CUP has it
NO_ANSWER = answer(b"", status="503 Service Unavailable")


class PartCamera(AdaptedCamera):
    """Answers everybody with ``shows``, as HTTP has it."""

    shows = NO_ANSWER

    def __init__(self) -> None:
        super().__init__(PartCamera.show)

    def show(self, connected: socket.socket) -> None:
        connected.sendall(self.shows)

    def sees(self, picture: bytes) -> None:
        self.shows = answer(picture, "Content-Type: image/jpeg")


def moved() -> bytes:
    """The cup, a third of the picture to the right of where it has to be."""
    with Image.open(CUP) as picture:
        part = Image.new("RGB", picture.size, (90, 70, 60))
        part.paste(picture.crop((0, 0, picture.width * 3 // 4, picture.height)), (picture.width // 3, 0))
    return odd.encoded(part, "JPEG", quality=92)
