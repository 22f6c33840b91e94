"""The model of a command line: the one that it names, or the first one of its task that is served."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from contract.model_task import ModelTask
from model.bundle import load_bundle
from model.classifier import Classifier
from model.cpu import usable_cpus
from model.decode import Decoder
from model.detection.detector import Detector
from model.errors import BundleError
from model.models_folder import choose
from model.opening import verified_predictor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.bundle import Bundle
    from model.settings import ModelSettings

Opened = TypeVar("Opened", Classifier, Detector)

COMMANDS = {ModelTask.CLASSIFICATION: "python -m model.classify", ModelTask.DETECTION: "python -m model.detect"}


@contextmanager
def open_model(kind: type[Opened], settings: ModelSettings, named: str | None, *, top_k: int = 1) -> Iterator[Opened]:
    """The model that ``named`` names, as MODELS does, or the first of this kind that is served; closed at the end.

    Args:
        top_k: labels in a classifier's answers.

    Raises:
        BundleError: there is none, or it is not what its manifest says.
        ModelError: its answer to the golden picture is unusable.
    """
    if named is not None:
        settings = settings.model_copy(update={"models": (named,), "model_path": None})
    bundle = _bundle(settings, kind.job.model_task)
    with Decoder(settings.max_pixels) as decoder:
        predictor = verified_predictor(bundle, decoder, num_threads=usable_cpus(), top_k=top_k)
        assert isinstance(predictor, kind)  # noqa: S101  its bundle's task says so
        yield predictor


def _bundle(settings: ModelSettings, task: ModelTask) -> Bundle:
    """Raises BundleError: there is none for this task."""
    try:
        paths = choose(settings)
    except BundleError as error:
        if (settings.model_path or settings.models_dir).exists():
            raise
        raise BundleError(f"{error}. `make model` builds the models.") from error
    others = []
    for path in paths:
        bundle = load_bundle(path, settings.labels_path)
        if bundle.task == task:
            return bundle
        others.append(bundle)
    models, other = " and ".join(str(bundle.model) for bundle in others), ModelTask(others[0].task)
    are = "is" if len(others) == 1 else "are"
    raise BundleError(
        f"{models} {are} for {other}, and not for {task}: "
        f"name another model with --model, or see {COMMANDS[other]} --help"
    )
