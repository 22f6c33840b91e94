"""A network's bundles: what each manifest says, how they get into place, and whether they are there already."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from model.export.fetch import Package

HERE = Path(__file__).parent
GOLDEN = HERE / "golden.jpg"
GOLDEN_LABEL = "Egyptian_cat"

# What decides the bytes of every network's bundles.
SHARED_RECIPE = ("bundles.py", "golden.jpg", "graph.py", "quantise.py", "tensorflow_js.py")


@dataclass(frozen=True)
class Variant:
    """One bundle: which form of the network it holds, and how it wants its pictures.

    Attributes:
        suffix: of its folder's name, behind the network's.
        precision: ``int8`` or ``fp32``.
        preprocess: as in the manifest.
        version: of what is served, beside the network's name; equal for bundles that may stand for each other.
    """

    suffix: str
    precision: str
    preprocess: dict[str, str | int | bool]
    version: str = "1"


@dataclass(frozen=True)
class Built:
    """What a package was made into: ONNX files by precision, and one label a class."""

    models: Mapping[str, bytes]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What a network answers, as its manifests say it.

    Attributes:
        task: ``classification`` or ``detection``.
        described: what its outputs mean: the manifest's ``output`` or ``detection``.
        golden: the picture that goes with every bundle.
        expected: what must be said of it, as in the manifest.
    """

    task: str
    described: Mapping[str, object]
    golden: Path
    expected: Mapping[str, object]


PROBABILITIES = Answers(
    "classification",
    {"output": {"name": "probabilities", "kind": "probabilities"}},
    GOLDEN,
    {"label": GOLDEN_LABEL},
)


@dataclass(frozen=True)
class Network:
    """A network that this project builds.

    Attributes:
        name: of the model that is served.
        described: what it is and what it was trained on.
        licence: of its weights, as their package states it.
        side: of its input, in pixels.
        package: where its weights come from.
        variants: its bundles.
        own_recipe: the files of its room that decide its bundles' bytes beside ``SHARED_RECIPE``.
        build: makes the package's file into the variants' networks.
        answers: what it says of a picture.
    """

    name: str
    described: str
    licence: str
    side: int
    package: Package
    variants: tuple[Variant, ...]
    own_recipe: tuple[str, ...]
    build: Callable[[Path], Built]
    answers: Answers = PROBABILITIES

    @property
    def room(self) -> Path:
        return HERE / self.name.replace("-", "_")

    @property
    def calibration(self) -> Path:
        return self.room / "calibration.json"

    @property
    def recipe_files(self) -> tuple[str, ...]:
        """What makes the built bundles stale when it changes: paths below ``model/export``."""
        return SHARED_RECIPE + tuple(f"{self.room.name}/{file}" for file in self.own_recipe)

    def folder(self, variant: Variant) -> str:
        return f"{self.name}-{variant.suffix}"

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(map(self.folder, self.variants))

    def recipe(self) -> str:
        """Return the hash of everything that decides the bundles' bytes, beside the package itself."""
        digest = hashlib.sha256()
        for name in self.recipe_files:
            digest.update(name.encode() + b"\0" + hashlib.sha256((HERE / name).read_bytes()).digest())
        return digest.hexdigest()

    def is_current(self, folder: Path) -> bool:
        """Say whether ``folder`` holds a bundle of this recipe, every file with its checksum."""
        try:
            manifest = json.loads((folder / "model.json").read_bytes())
            return bool(
                manifest["provenance"]["recipe"] == self.recipe()
                and manifest["provenance"][self.package.checksum] == self.package.digest
                and all(sha256(folder / name) == digest for name, digest in manifest["files"].items())
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def write(self, folder: Path, variant: Variant, built: Built) -> None:
        """Write a whole bundle into the new folder ``folder``."""
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(built.models[variant.precision])
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in built.labels), encoding="utf-8")
        shutil.copyfile(self.answers.golden, folder / "golden.jpg")
        manifest = {
            "schema": 1,
            "name": self.name,
            "version": variant.version,
            "task": self.answers.task,
            "precision": variant.precision,
            "input": {"name": "pixels", "dtype": "uint8", "layout": "NHWC", "width": self.side, "height": self.side},
            "preprocess": variant.preprocess,
            **self.answers.described,
            "classes": len(built.labels),
            "files": {name: sha256(folder / name) for name in ("model.onnx", "labels.txt", "golden.jpg")},
            "golden": {"file": "golden.jpg", **self.answers.expected},
            "licence": self.licence,
            "provenance": {
                "source": f"{self.package.registry}:{self.package.spec}",
                self.package.checksum: self.package.digest,
                "network": self.described,
                "made_by": f"python -m model.export {self.name}",
                "recipe": self.recipe(),
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
