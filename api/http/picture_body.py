"""Which bodies are a picture themselves, without a form around it.

A picture is known by its first bytes, whatever the request says that it is: ``curl --data-binary @photo.jpg`` calls
everything a form.
"""

from __future__ import annotations

from contract.image_header import media_type

FIELDS = ("file", "image", "files", "images")  # names that clients use; every route that takes pictures accepts all

PICTURE_ROUTES = {
    *("pages.classify", "predict.predict", "infer.infer", "infer.infer_batch"),
    *("detect.detect", "detect.detect_batch", "jobs.submit", "replaced.inference", "replaced_main.main"),
    *("inspections.inspect", "inspect_page.inspect", "replaced_main.with_camera"),
}
"""The endpoints that take pictures, or tell that they do not, and so other bodies than forms."""

SHORTEST_MANGLED = 30  # bytes: a whole picture of as many has zeros in it, in every format
# How pictures begin that have lost their zeros and line ends.
_MANGLED = (b"\xff\xd8\xff", b"\x89PNG\x1a", b"GIF8", b"BM", b"II*", b"MM*", b"II+", b"MM+", b"RIFF")
_BMP_HEADER_BYTES = 18  # up to a number whose upper half is zero in every BMP


def begins_as_picture(data: bytes) -> bool:
    """Whether a body is a picture, by its first bytes. Two letters make no BMP yet: texts begin with them too."""
    kind = media_type(data)
    return kind is not None and (kind != "image/bmp" or b"\0" in data[:_BMP_HEADER_BYTES])


def is_mangled(data: bytes) -> bool:
    """Whether a body was a picture before ``curl -d @photo.jpg`` took all zeros and line ends out of it.

    Args:
        data: its first bytes, the more the better: no picture of a supported format is without them.
    """
    if len(data) < SHORTEST_MANGLED or data.isascii() or any(lost in data for lost in (b"\0", b"\n", b"\r")):
        return False
    return data.startswith(_MANGLED) or b"ftyp" in data[:8]
