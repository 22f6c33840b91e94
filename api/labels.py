"""The model's labels for people: the list that its workers publish, and the label that somebody's words mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from api.errors import RETRY_SOON_S, BackendDown, NoWorker, TemporarilyUnavailable
from contract.errors import QueueUnavailable
from contract.labels import read

if TYPE_CHECKING:
    from redis import Redis

    from api.staff import Staff


@dataclass(frozen=True, slots=True)
class LabelList:
    """A model's labels by class index, in the bundle's own spelling; ``digest`` identifies them."""

    model: str
    digest: str
    labels: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The labels as a person reads them, each once, in alphabetical order."""
        return sorted({in_words(label) for label in self.labels}, key=lambda name: (name.casefold(), name))

    def meant_by(self, words: str) -> str:
        """The label that ``words`` name, whatever stands between them; ``words`` as they are where they name none.

        Letter case counts only between labels that differ in nothing else: a Cardigan is a dog, a cardigan is worn.
        """
        wanted = in_words(words)
        by_name = {in_words(label): label for label in self.labels}
        alike = [label for name, label in by_name.items() if name.casefold() == wanted.casefold()]
        return by_name.get(wanted) or (alike[0] if len(alike) == 1 else words)


class LabelBook:
    """The current model's labels, read once per digest and process."""

    def __init__(self, redis: Redis, staff: Staff) -> None:
        self._redis = redis
        self._staff = staff
        self._known: LabelList | None = None

    def current(self) -> LabelList:
        """The labels of the model that serves now; while none does, those of the last one.

        Raises:
            NoWorker: this process has seen no worker's labels yet.
            BackendDown: nor does Redis answer.
        """
        try:
            self._known = self._look()
        except TemporarilyUnavailable:
            if self._known is None:
                raise
        return self._known

    def _look(self) -> LabelList:
        try:
            crew = self._staff.crew()
            if self._known is not None and self._known.digest == crew.digest:
                return self._known
            published = read(self._redis, crew.model, crew.digest)
        except (QueueUnavailable, RedisError) as error:
            raise BackendDown(f"the labels can't be read: {error}", RETRY_SOON_S) from error
        if published is None:
            raise NoWorker("no worker has published its labels yet", RETRY_SOON_S)
        return LabelList(crew.model, crew.digest, published)


def in_words(label: str) -> str:
    return " ".join(label.replace("_", " ").split())
