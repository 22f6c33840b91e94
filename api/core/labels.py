"""Models' labels for people: the lists that workers publish, and the label that a person's words mean."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.core.errors import NoWorker, UnknownModel
from contract.errors import RETRY_SOON_S, TemporarilyUnavailable
from contract.model_description import read_descriptions
from contract.redis_clients import redis_errors
from contract.worker_registry import read_labels

if TYPE_CHECKING:
    from redis import Redis

    from api.core.live_workers import LiveWorkers
    from contract.model_description import ModelDescription
    from contract.model_task import ModelTask
    from contract.model_version import ModelVersion, WantedModel

MOST_KEPT = 32  # lists of labels: a caller may name versions in many ways


@dataclass(frozen=True, slots=True)
class ObjectBounds:
    """Which of the objects that it finds a detector answers with: those above ``min_score``, and at most ``most``."""

    min_score: float
    most: int


@dataclass(frozen=True, slots=True)
class LabelList:
    """A model's labels by class index, in the bundle's own spelling; ``digest`` identifies them.

    ``objects`` is what a detector answers with; None of other models.
    """

    model: ModelVersion
    digest: str
    labels: tuple[str, ...]
    objects: ObjectBounds | None = None

    @property
    def names(self) -> list[str]:
        """The labels as people read them, each once, in alphabetical order."""
        return sorted({in_words(label) for label in self.labels}, key=lambda name: (name.casefold(), name))

    def meant_by(self, words: str) -> str:
        """The label that ``words`` name, with spaces or underscores; ``words`` unchanged if they name none.

        Letter case matters only between labels that differ in nothing else: a Cardigan is a dog, a cardigan is worn.
        """
        wanted = in_words(words)
        by_name = {in_words(label): label for label in self.labels}
        alike = [label for name, label in by_name.items() if name.casefold() == wanted.casefold()]
        return by_name.get(wanted) or (alike[0] if len(alike) == 1 else words)


class LabelLookup:
    """The models' labels, read once per digest and process."""

    def __init__(self, redis: Redis, live_workers: LiveWorkers) -> None:
        self._redis = redis
        self._live_workers = live_workers
        self._known: OrderedDict[tuple[WantedModel | None, ModelTask | None], LabelList] = OrderedDict()
        self._answered: OrderedDict[tuple[ModelVersion, str], LabelList] = OrderedDict()

    def of(self, model: WantedModel | None = None, task: ModelTask | None = None) -> LabelList:
        """The labels of a model, or of the default one; while no worker serves it, the last that were read of it.

        Args:
            task: what the model must be for; None if any will do.

        Raises:
            UnknownModel: no worker has ever served it.
            OtherTask: it is for another task.
            NoWorker: this process has read no labels of it yet, and no worker of it is alive.
            BackendDown: this process has read no labels of it yet, and Redis does not answer.
        """
        wanted = (model, task)
        try:
            self._known[wanted] = self._look(model, task)
        except TemporarilyUnavailable:
            if wanted not in self._known:
                raise
        self._known.move_to_end(wanted)
        if len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return self._known[wanted]

    def of_or_none(self, model: WantedModel | None = None) -> LabelList | None:
        """As ``of``, but None instead of an error: pages and reports work without labels."""
        try:
            return self.of(model)
        except (TemporarilyUnavailable, UnknownModel):
            return None

    def of_answer(self, model: ModelVersion, digest: str) -> LabelList:
        """The labels of the bundle that has answered, whichever was asked for.

        Raises:
            NoWorker: this process has read no labels of it yet, and no worker of it is alive any more.
            BackendDown: this process has read no labels of it yet, and Redis does not answer.
        """
        answered = (model, digest)
        if answered not in self._answered:
            self._answered[answered] = self._read(model, digest)
        self._answered.move_to_end(answered)
        if len(self._answered) > MOST_KEPT:
            self._answered.popitem(last=False)
        return self._answered[answered]

    def _look(self, model: WantedModel | None, task: ModelTask | None) -> LabelList:
        pool, known = self._live_workers.pool(model, task), self._known.get((model, task))
        if known is not None and known.digest == pool.digest:
            return known
        return self._read(pool.version, pool.digest)

    def _read(self, model: ModelVersion, digest: str) -> LabelList:
        with redis_errors("the labels can't be read"):
            published = read_labels(self._redis, model.key, digest)
            (description,) = read_descriptions(self._redis, [(model.key, digest)])
        if published is None:
            raise NoWorker("no worker has published its labels yet", RETRY_SOON_S)
        return LabelList(model, digest, published, _bounds(description))


def _bounds(description: ModelDescription | None) -> ObjectBounds | None:
    if description is None or description.min_score is None or description.max_objects is None:
        return None
    return ObjectBounds(description.min_score, description.max_objects)


def in_words(label: str) -> str:
    return " ".join(label.replace("_", " ").split())
