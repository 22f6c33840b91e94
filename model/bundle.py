"""A model is a folder: ``model.onnx``, ``labels.txt`` and a manifest, ``model.json``. All of it is checked."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from contract.model_description import ModelDescription
from contract.model_version import ModelVersion
from contract.wording import in_words
from model.cpu import has_fast_int8
from model.errors import BundleError
from model.foreign_formats import foreign_file_in, what_it_is
from model.manifest import InputSpec, Manifest, OutputSpec, PreprocessSpec
from model.onnx_runtime import Tensor, inputs_of, open_graph, outputs_of
from model.warm_up import are_probabilities, warm_up_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onnxruntime import InferenceSession
    from pydantic_core import ErrorDetails

    from model.detection.spec import DetectionSpec
    from model.manifest import Golden, GoldenObject

log = logging.getLogger(__name__)

_LATER = {"version", "task"}
MANIFEST, MODEL, LABELS = "model.json", "model.onnx", "labels.txt"


@dataclass(frozen=True, slots=True)
class GoldenCheck:
    """The bundle's own picture, and what its model must say of it: the label of a classifier, a detector's objects."""

    picture: Path
    label: str | None = None
    objects: tuple[GoldenObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model whose files were found complete and unchanged.

    Attributes:
        name: shared by the versions and variants of one model.
        version: shared by the variants of one version.
        task: what the model does with a picture.
        digest: 64 hex digits that identify weights, labels and preprocessing together.
        labels: one per class, by class index.
        output: of a detector what the manifest's ``detection`` says.
        bare: whether it is an .onnx file without a manifest of its own.
        pinned: the names of the files whose checksums the manifest states.
    """

    name: str
    version: str
    task: Literal["classification", "detection"]
    precision: Literal["int8", "fp32"]
    digest: str
    labels: tuple[str, ...]
    model_path: Path
    input: InputSpec
    preprocess: PreprocessSpec
    output: OutputSpec | DetectionSpec
    golden: GoldenCheck | None
    bare: bool = False
    pinned: tuple[str, ...] = ()
    licence: str | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def description(self) -> ModelDescription:
        """What callers of the service are told of it."""
        return ModelDescription(
            task=self.task,
            precision=self.precision,
            width=self.input.width,
            height=self.input.height,
            labels=len(self.labels),
            licence=self.licence,
            provenance=self.provenance,
        )

    @property
    def interface(self) -> str:
        """What all variants of a version have in common: SHA-256 of labels and preprocessing, 64 hex digits.

        Of a detector, also of what decides which boxes are answers.
        """
        common = [self.task, self.labels, self.input.model_dump(exclude={"name"}), self.preprocess.model_dump()]
        if not isinstance(self.output, OutputSpec):
            common.append(self.output.model_dump(include={"min_score", "max_objects", "iou"}))
        return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()

    @property
    def model(self) -> ModelVersion:
        return ModelVersion(self.name, self.version)


def choose_bundle(path: Path) -> Path:
    """Find the bundle that ``MODEL_PATH`` means.

    Args:
        path: a bundle's folder, a bare ``.onnx`` file, or a folder of bundles: then the one whose name ends in
            ``-int8`` where the CPU computes int8 fast, else in ``-fp32``.

    Returns:
        A path for ``load_bundle``.

    Raises:
        BundleError: there is no bundle, or no telling which.
    """
    if path.is_file():
        if path.suffix != ".onnx":
            raise BundleError(what_it_is(path) or f"{path.name} is neither an .onnx file nor a bundle's folder")
        return path
    if (path / MANIFEST).is_file():
        return path
    if not path.is_dir():
        raise BundleError(f"no model at {path}")
    return _only_fitting(path)


def _only_fitting(path: Path) -> Path:
    bundles = sorted(manifest.parent for manifest in path.glob(f"*/{MANIFEST}"))
    if not bundles and (foreign := foreign_file_in(path)):
        raise BundleError(f"no {MANIFEST} at {path}: {what_it_is(foreign)}")
    if not bundles and (bare := sorted(path.glob("*.onnx"))):
        raise BundleError(f"{path} has no {MANIFEST}: write one, or name {bare[0].name} itself, and LABELS_PATH")
    if not bundles:
        raise BundleError(f"no model at {path}: neither the folder nor those in it hold a {MANIFEST}")
    if len(bundles) == 1:
        return bundles[0]
    suffix = "-int8" if has_fast_int8() else "-fp32"
    fitting = [bundle for bundle in bundles if bundle.name.endswith(suffix)]
    if len(fitting) != 1:
        names = ", ".join(bundle.name for bundle in bundles)
        raise BundleError(f"{path} holds several models ({names}): MODEL_PATH must name one")
    return fitting[0]


def load_bundle(path: Path, labels_path: Path | None = None) -> Bundle:
    """Read a model's manifest and labels, and check every file.

    Args:
        path: a bundle's folder, or a bare ``.onnx`` file, which gets the manifest of the usual ImageNet network.
        labels_path: the labels of a bare ``.onnx`` file, one a line; not looked at for a folder.

    Raises:
        BundleError: which says the file and the check that failed.
    """
    if path.suffix == ".onnx":
        if not path.is_file():
            raise BundleError(f"no model at {path}")
        if labels_path is None:
            raise BundleError(f"{path.name} is a bare ONNX file: LABELS_PATH must name its labels, one a line")
        return _checked(standard_manifest(path), {MODEL: path, LABELS: labels_path})
    manifest_bytes = _read(path / MANIFEST)
    manifest = _parse(manifest_bytes)
    names = {MODEL, LABELS, *manifest.files} | ({manifest.golden.file} if manifest.golden else set())
    return _checked(manifest, {name: path / name for name in sorted(names)}, manifest_bytes)


def standard_manifest(model: Path) -> Manifest:
    """The manifest of a bare ONNX file: preprocessing as the torchvision and ONNX Model Zoo classifiers expect it.

    Whether its output is logits or probabilities is seen by running it on ``warm_up_inputs``.

    Raises:
        BundleError: the graph is not one float32 (N, 3, height, width) input and one (N, classes) output.
    """
    session = open_graph(model, num_threads=1, optimise=False)
    inputs, outputs = inputs_of(session), outputs_of(session)
    match inputs, outputs:
        case (
            [Tensor(str(pixels), "float32", (_, 3, int(height), int(width)))],
            [Tensor(str(scores), "float32", (_, int(classes)))],
        ):
            pass
        case _:
            raise BundleError(
                f"{model.name}: the standard manifest is for one input float32 [N, 3, height, width] and one output "
                f"float32 [N, classes]; this has {'; '.join(map(str, [*inputs, *outputs]))}. Write it a {MANIFEST}"
            )
    output = OutputSpec(name=scores, kind="logits")
    manifest = Manifest.model_validate(
        {
            "schema": 1,
            "name": re.sub(r"[^A-Za-z0-9._-]", "-", model.stem).lstrip("._-")[:64] or "model",
            "precision": "fp32",
            "input": {"name": pixels, "dtype": "float32", "layout": "NCHW", "width": width, "height": height},
            "preprocess": {
                "resize": "crop",
                "shorter_side": round(max(width, height) * 256 / 224),
                "interpolation": "linear",
                "colour": "rgb",
                "exif_orientation": True,
                "scale": 1 / 255,
                "mean": (0.485, 0.456, 0.406),  # of ImageNet's training pictures, as torchvision states them
                "std": (0.229, 0.224, 0.225),
            },
            "output": output,
            "classes": classes,
        }
    )
    if not _gives_probabilities(session, manifest.input, output):
        return manifest
    log.info("%s gives probabilities already: no softmax is applied to them", model.name)
    return manifest.model_copy(update={"output": output.model_copy(update={"kind": "probabilities"})})


def _gives_probabilities(session: InferenceSession, spec: InputSpec, output: OutputSpec) -> bool:
    """False also where the network does not run: whoever serves it is told why."""
    rows = []
    for batch in warm_up_inputs(spec):
        try:
            (row,) = session.run([output.name], {spec.name: batch})
        except Exception:  # noqa: BLE001  as for open_graph: its exceptions share no other base class
            return False
        rows.append(row)
    return are_probabilities(np.concatenate(rows))


def _parse(manifest_bytes: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(manifest_bytes)
    except ValidationError as error:
        raise BundleError("\n".join(_sentences(error.errors()))) from error


def _sentences(errors: list[ErrorDetails]) -> Iterator[str]:
    for error in errors:
        place = ".".join(map(str, _without_form(error["loc"])))
        given = "" if isinstance(error["input"], dict | bytes) else f", not {error['input']!r:.80}"
        yield f"{MANIFEST}: {place + ': ' if place else ''}{in_words(error)}{given}"


def _without_form(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A place in the manifest; within ``detection`` pydantic's have the form's name in them."""
    return place[:1] + place[2:] if place[:1] == ("detection",) else place


def _checked(manifest: Manifest, files: Mapping[str, Path], manifest_bytes: bytes | None = None) -> Bundle:
    checksums = {name: _sha256(file) for name, file in files.items()}
    for name, stated in manifest.files.items():
        if checksums[name] != stated:
            raise BundleError(f"{name}: its SHA-256 is {checksums[name]}, but the manifest states {stated}")
    labels = _labels(files[LABELS])
    if len(labels) != manifest.classes:
        # A bare file has no manifest that could be wrong.
        told = f"{MANIFEST} states" if manifest_bytes is not None else f"{files[MODEL].name} has"
        named = "" if manifest_bytes is not None else " (LABELS_PATH)"
        raise BundleError(f"{files[LABELS].name}{named}: {len(labels)} labels, but {told} {manifest.classes} classes")
    output = manifest.output or manifest.detection
    assert output is not None  # noqa: S101  # the manifest is checked
    return Bundle(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        precision=manifest.precision,
        digest=_digest(manifest, checksums, manifest_bytes),
        labels=labels,
        model_path=files[MODEL],
        input=manifest.input,
        preprocess=manifest.preprocess,
        output=output,
        golden=_golden(manifest.golden, files, labels) if manifest.golden is not None else None,
        bare=manifest_bytes is None,
        pinned=tuple(manifest.files),
        licence=manifest.licence,
        provenance=manifest.provenance,
    )


def _golden(golden: Golden, files: Mapping[str, Path], labels: tuple[str, ...]) -> GoldenCheck:
    named = {"label": golden.label} if golden.label is not None else {}
    named |= {f"objects.{index}.label": found.label for index, found in enumerate(golden.objects)}
    for place, label in named.items():
        if label not in labels:
            raise BundleError(f"{MANIFEST}: golden.{place} {label!r} is not among the labels")
    return GoldenCheck(files[golden.file], golden.label, golden.objects)


def _digest(manifest: Manifest, checksums: Mapping[str, str], manifest_bytes: bytes | None) -> str:
    """The manifest's own hash where it pins the weights and labels; else one of the manifest and of their checksums."""
    if manifest_bytes is not None and {MODEL, LABELS} <= manifest.files.keys():
        return hashlib.sha256(manifest_bytes).hexdigest()
    # Answers are stored under digests, which an upgrade must not change: "card" is an older word for it, and fields
    # that came later count where they say something.
    later = {field for field in _LATER if getattr(manifest, field) == Manifest.model_fields[field].default}
    whole: dict[str, Any] = {"card": manifest.model_dump(exclude=later), "files": checksums}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _labels(path: Path) -> tuple[str, ...]:
    try:
        labels = tuple(line.strip() for line in _read(path).decode().removesuffix("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise BundleError(f"{path.name}: not UTF-8: {error}") from error
    if "" in labels:
        raise BundleError(f"{path.name}: line {labels.index('') + 1} is empty")
    return labels


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}") from error
