"""The model's labels for people: the list that its workers publish, and the label that a person's words mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.core.errors import NoWorker
from contract.errors import RETRY_SOON_S, TemporarilyUnavailable
from contract.redis_clients import redis_errors
from contract.worker_registry import read_labels

if TYPE_CHECKING:
    from redis import Redis

    from api.core.live_workers import LiveWorkers


@dataclass(frozen=True, slots=True)
class LabelList:
    """A model's labels by class index, in the bundle's own spelling; ``digest`` identifies them."""

    model: str
    digest: str
    labels: tuple[str, ...]

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
    """The current model's labels, read once per digest and process."""

    def __init__(self, redis: Redis, live_workers: LiveWorkers) -> None:
        self._redis = redis
        self._live_workers = live_workers
        self._known: LabelList | None = None

    def current(self) -> LabelList:
        """The labels of the model that serves now; while none does, those of the last one.

        Raises:
            NoWorker: this process has read no labels yet, and no worker is alive.
            BackendDown: this process has read no labels yet, and Redis does not answer.
        """
        try:
            self._known = self._look()
        except TemporarilyUnavailable:
            if self._known is None:
                raise
        return self._known

    def current_or_none(self) -> LabelList | None:
        """As ``current``, but None instead of an error: pages and reports work without labels."""
        try:
            return self.current()
        except TemporarilyUnavailable:
            return None

    def _look(self) -> LabelList:
        pool = self._live_workers.pool()
        if self._known is not None and self._known.digest == pool.digest:
            return self._known
        with redis_errors("the labels can't be read"):
            published = read_labels(self._redis, pool.model, pool.digest)
        if published is None:
            raise NoWorker("no worker has published its labels yet", RETRY_SOON_S)
        return LabelList(pool.model, pool.digest, published)


def in_words(label: str) -> str:
    return " ".join(label.replace("_", " ").split())
