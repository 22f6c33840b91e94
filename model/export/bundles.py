"""The three bundles: what each manifest says, how they get into place, and whether they are there already."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from model.export.fetch import RESNET50_PACKAGE

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.jpg"
GOLDEN_LABEL = "Egyptian_cat"

# Whatever decides a bundle's bytes. A change in any of these makes the built bundles stale.
RECIPE_FILES = (
    "fetch.py",
    "keras_weights.py",
    "graph.py",
    "quantise.py",
    "calibration.json",
    "bundles.py",
    "golden.jpg",
)

_CROP: dict[str, str | int | bool] = {
    "resize": "crop",
    "shorter_side": 256,
    "interpolation": "linear",
    "colour": "bgr",
    "exif_orientation": True,
}
# As Keras' own load_img reads a picture: what the original system answers, to four decimals.
_SQUASH: dict[str, str | int | bool] = {
    "resize": "squash",
    "interpolation": "nearest_exact",
    "colour": "bgr",
    "exif_orientation": False,
}


@dataclass(frozen=True)
class Variant:
    """One bundle: a folder's name, which of the two networks it holds and how it wants its pictures."""

    folder: str
    precision: str
    preprocess: dict[str, str | int | bool]


VARIANTS = (
    Variant("resnet50-int8", "int8", _CROP),
    Variant("resnet50-fp32", "fp32", _CROP),
    Variant("resnet50-reference", "fp32", _SQUASH),
)


def recipe() -> str:
    """Return the hash of everything that decides the bundles' bytes, beside the package itself."""
    digest = hashlib.sha256()
    for name in RECIPE_FILES:
        digest.update(name.encode() + b"\0" + hashlib.sha256((HERE / name).read_bytes()).digest())
    return digest.hexdigest()


def is_current(folder: Path) -> bool:
    """Say whether ``folder`` holds a bundle of this recipe, every file with its checksum."""
    try:
        manifest = json.loads((folder / "model.json").read_bytes())
        return bool(
            manifest["provenance"]["recipe"] == recipe()
            and manifest["provenance"]["sha512"] == RESNET50_PACKAGE.sha512
            and all(sha256(folder / name) == digest for name, digest in manifest["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write(folder: Path, variant: Variant, model: bytes, labels: tuple[str, ...]) -> None:
    """Write a whole bundle into the new folder ``folder``."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    shutil.copyfile(GOLDEN, folder / "golden.jpg")
    manifest = {
        "schema": 1,
        "name": "resnet50",
        "precision": variant.precision,
        "input": {"name": "pixels", "dtype": "uint8", "layout": "NHWC", "width": 224, "height": 224},
        "preprocess": variant.preprocess,
        "output": {"name": "probabilities", "kind": "probabilities"},
        "classes": len(labels),
        "files": {name: sha256(folder / name) for name in ("model.onnx", "labels.txt", "golden.jpg")},
        "golden": {"file": "golden.jpg", "label": GOLDEN_LABEL},
        "licence": "MIT",
        "provenance": {
            "source": f"npm:{RESNET50_PACKAGE.spec}",
            "sha512": RESNET50_PACKAGE.sha512,
            "network": "ResNet-50 v1 of keras.applications, trained on ImageNet-1k",
            "made_by": "python -m model.export",
            "recipe": recipe(),
        },
    }
    (folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def install(finished: Path, folder: Path) -> None:
    """Move a finished bundle into its place; what was there before is removed.

    Both are on one file system, so a reader finds the old bundle or the new one, or for an instant none.
    """
    old = finished.with_name(f"{finished.name}.old")
    if folder.exists():
        folder.rename(old)
    finished.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
