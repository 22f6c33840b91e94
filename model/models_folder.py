"""Which bundle of a folder of bundles a model's name means on this machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contract.model_task import ModelTask
from contract.model_version import FIRST_VERSION, ModelVersion, WantedModel
from model.bundle import MANIFEST, choose_bundle, read_text_file
from model.cpu import has_fast_int8
from model.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model.settings import ModelSettings

# Of several models for one task in the folder, if the settings name none: those that `make model` makes.
DEFAULT_NAMES = ("resnet50", "ssdlite-mobilenetv2")


@dataclass(frozen=True, slots=True)
class Found:
    """A bundle as its manifest introduces itself; whether it is sound shows when it is loaded."""

    path: Path
    model: ModelVersion
    precision: str
    task: str


def find_all(folder: Path) -> list[Found]:
    """All bundles directly below ``folder``; what is none is left out."""
    found = []
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            fields = json.loads(read_text_file(manifest))
            model = ModelVersion(str(fields["name"]), str(fields.get("version", FIRST_VERSION)))
            WantedModel.parse(str(model))  # a ValueError if nobody could name it
            task = str(fields.get("task", ModelTask.CLASSIFICATION))
            found.append(Found(manifest.parent, model, str(fields.get("precision", "fp32")), task))
        except (BundleError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            continue
    return found


def find(folder: Path, wanted: WantedModel, current: str | None = None) -> Path:
    """The bundle's path.

    Args:
        wanted: a name means the version ``current`` if it is there, else the only one, else the highest number among
            them: a version in words has to be named.
        current: the version that the service serves under this name now, if any.

    Raises:
        BundleError: there is none, or no telling which.
    """
    named = [bundle for bundle in find_all(folder) if bundle.model.name == wanted.name]
    version = wanted.version or _version([bundle.model.version for bundle in named], current)
    variants = [bundle for bundle in named if bundle.model.version == version]
    if not variants:
        there = sorted({str(bundle.model) for bundle in find_all(folder)})
        told = f"it holds {', '.join(there)}" if there else "it holds no bundle"
        raise BundleError(f"there is no model {wanted} in {folder}: {told}")
    return _variant(variants).path


def choose(settings: ModelSettings, currents: Mapping[str, str] | None = None) -> list[Path]:
    """The bundles that the settings mean, in their order: at least one.

    Args:
        currents: the versions that the service serves now, by name; None where there is no service.

    Raises:
        BundleError: one of them is not there, or there is no telling which it is.
    """
    known = currents or {}
    if settings.models:
        return [_named(text, settings.models_dir, known) for text in settings.models]
    if settings.model_path is not None:
        return [choose_bundle(settings.model_path)]
    folder = settings.models_dir
    there = find_all(folder)
    if not there:
        return [choose_bundle(folder)]  # the folder itself, or it says what lies there instead
    tasks = sorted({bundle.task for bundle in there})  # classification first
    names = [_default(folder, there, task) for task in tasks]
    return [find(folder, WantedModel(name), known.get(name)) for name in names]


def _default(folder: Path, there: Sequence[Found], task: str) -> str:
    """The only model for a task, or of several the one that ``make model`` makes."""
    names = sorted({bundle.model.name for bundle in there if bundle.task == task})
    ours = names if len(names) == 1 else [name for name in names if name in DEFAULT_NAMES]
    if len(ours) != 1:
        raise BundleError(f"{folder} holds several models for {task} ({', '.join(names)}): MODELS must name some")
    return ours[0]


def _named(text: str, folder: Path, currents: Mapping[str, str]) -> Path:
    if "/" in text:
        return choose_bundle(Path(text))
    try:
        wanted = WantedModel.parse(text)
    except ValueError as error:
        raise BundleError(f"MODELS has {text!r}: {error}; a path has a slash in it, as in ./{text}") from error
    return find(folder, wanted, currents.get(wanted.name))


def _version(versions: Sequence[str], current: str | None) -> str | None:
    if current in versions or not versions:
        return current
    numbers = [version for version in versions if _number(version)]
    if len(set(versions)) == 1 or not numbers:
        return versions[0] if len(set(versions)) == 1 else None
    return max(numbers, key=_number)


def _number(version: str) -> tuple[int, ...]:
    """As ``2.10`` is above ``2.9``; empty for a version in words."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdigit() for part in parts) else ()


def _variant(variants: Sequence[Found]) -> Found:
    """int8 where the processor is quick with it, else fp32; the only one whatever it is."""
    if len(variants) == 1:
        return variants[0]
    wanted = "int8" if has_fast_int8() else "fp32"
    fitting = [bundle for bundle in variants if bundle.precision == wanted]
    if len(fitting) != 1:
        names = ", ".join(bundle.path.name for bundle in variants)
        raise BundleError(f"{names} are all {variants[0].model}, and not one of each precision: name one by its path")
    return fitting[0]
