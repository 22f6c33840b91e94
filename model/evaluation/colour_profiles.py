"""`python -m model.evaluation.colour_profiles --photos DIR`: what colour profiles change in the answers.

Each photo is converted to the colours of Display P3, as phones store photos, and of Adobe RGB, as cameras can, so that
a viewer shows it as before, and is classified with that profile ignored and applied. Photos that have a profile of
their own are classified with that ignored and applied too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import onnx
from PIL import Image, ImageCms

from contract.limits import DEFAULT_MAX_PIXELS
from model.bundle import load_bundle
from model.decode import Decoder
from model.evaluation.accuracy import run
from model.export import calibrate, photos
from model.preprocess import preprocess
from model.sandbox.colour import changes_colours, to_srgb
from model.sandbox.matrix_profile import DISPLAY_P3, SRGB_CURVE, Chromaticities, of_primaries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

P3 = of_primaries(DISPLAY_P3, SRGB_CURVE)
ADOBE_RGB = of_primaries(Chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), [563 / 256])


class Classes:
    """Says the best class of pictures, by a network."""

    def __init__(self, folder: Path) -> None:
        self._bundle = load_bundle(folder)
        self._network = onnx.load(self._bundle.model_path)

    def of(self, pictures: Iterable[Image.Image]) -> NDArray[np.int64]:
        """Indexes, int64 (N,)."""
        with Decoder(DEFAULT_MAX_PIXELS) as decoder:
            pixels = [
                preprocess(_bmp(picture), decoder, self._bundle.preprocess, self._bundle.input).values
                for picture in pictures
            ]
        best: NDArray[np.int64] = run(self._network, np.stack(pixels).astype(np.uint8)).argmax(axis=1)
        return best


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best class of each photo, stored in other colours: with its profile ignored and applied."""

    ignored: NDArray[np.int64]
    applied: NDArray[np.int64]


def main() -> None:
    """Print the figures."""
    collection, models, name = photos.from_arguments("model.evaluation.colour_profiles", __doc__)
    classes = Classes(calibrate.fp32_bundle(models, name))
    plain = classes.of(stored(file) for file in collection.files)
    print(f"{len(collection.files)} photos, their own profiles ignored: top-1 {same(plain, collection.classes):.1%}")
    for name, profile in {"Display P3": P3, "Adobe RGB": ADOBE_RGB}.items():
        result = compare(classes, collection.files, profile)
        for how, found in {"ignored": result.ignored, "applied": result.applied}.items():
            print(
                f"stored as {name}, profile {how}: top-1 {same(found, collection.classes):.1%}, "
                f"label of the photo {same(found, plain):.1%}",
                flush=True,
            )
    _print_own_profiles(collection, classes, plain)


def compare(classes: Classes, files: Sequence[Path], profile: bytes) -> Comparison:
    """``profile`` is one that colours can be converted to, of RGB."""
    ignored = classes.of(_converted(stored(file), profile) for file in files)
    applied = classes.of(to_srgb(_converted(stored(file), profile)) for file in files)
    return Comparison(ignored, applied)


def stored(file: Path) -> Image.Image:
    """A photo as it is without its profile, RGB."""
    picture = _opened(file).convert("RGB")
    picture.info.clear()
    return picture


def same(some: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    """Share of the photos that have the same class in both."""
    return float((some == others).mean())


def _print_own_profiles(collection: photos.Photos, classes: Classes, ignored: NDArray[np.int64]) -> None:
    names = [_profile_name(_opened(file)) for file in collection.files]
    for name, count in Counter(name for name in names if name).most_common():
        print(f"{count:4} {name}")
    seen = np.array([name.endswith("(seen)") for name in names])
    if seen.any():
        files = [file for file, is_seen in zip(collection.files, seen, strict=True) if is_seen]
        applied = classes.of(to_srgb(_opened(file)) for file in files)
        print(
            f"{len(files)} photos with a profile that is seen: top-1 ignored "
            f"{same(ignored[seen], collection.classes[seen]):.1%}, applied "
            f"{same(applied, collection.classes[seen]):.1%}; same label {same(applied, ignored[seen]):.1%}"
        )


def _opened(file: Path) -> Image.Image:
    picture = Image.open(file)
    picture.load()
    return picture


def _converted(picture: Image.Image, profile: bytes) -> Image.Image:
    """The same to see, in the colours of a profile that it carries."""
    source, target = ImageCms.createProfile("sRGB"), ImageCms.getOpenProfile(BytesIO(profile))
    converted = ImageCms.profileToProfile(picture, source, target)
    assert converted is not None  # it is not done in place
    converted.info["icc_profile"] = profile
    return converted


def _profile_name(picture: Image.Image) -> str:
    """Of the profile that a picture carries, and whether it is seen; empty for none."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return ""
    name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(BytesIO(profile))).strip()
    return f"{name} {'(seen)' if changes_colours(profile, picture.mode) else '(not seen)'}"


def _bmp(picture: Image.Image) -> bytes:
    """Without loss, and without a profile."""
    file = BytesIO()
    picture.convert("RGB").save(file, "BMP")
    return file.getvalue()


if __name__ == "__main__":
    main()
