"""The pictures that senders have uploaded: where one is stored, and the one way in which any is deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from gevent import get_hub
from gevent.util import wrap_errors

from api.core.eviction import Eviction
from contract import picture_holders
from contract.errors import BackendDown, ServiceError, StoreFull
from contract.image_store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from api.settings import Settings

Reason = Literal["room", "age", "refused"]
BEFORE_SUBMITTING_S = 60.0  # beyond a request's deadline: Redis' own timeouts, and clocks that differ


class Uploads:
    """One per process.

    Attributes:
        store: for reading.
        idle_s: a picture sent less than so many seconds ago may have a request that has not submitted its job yet.
        count_deleted: called with the reason and the number of bytes whenever pictures are deleted.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.store = ImageStore.bounded(
            settings.upload_dir,
            most_bytes=settings.uploads_mb * 1_000_000,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
        )
        assert self.store.room is not None
        self.room = self.store.room
        self.idle_s = settings.request_timeout_s + BEFORE_SUBMITTING_S
        self.count_deleted: Callable[[Reason, int], None] = lambda _reason, _bytes: None
        self._held = partial(picture_holders.held, redis)
        self._eviction = Eviction(
            settings.upload_dir,
            self.store,
            self.room,
            idle_s=self.idle_s,
            remove=partial(self.remove, idle_s=self.idle_s, reason="room"),
        )

    def put(self, image: bytes, *, durable: bool = False) -> str:
        """Store a picture, as ``ImageStore.put`` does; older ones are deleted if there is no room for it.

        A durable one is stored in a thread, so that no other request waits for the disk.

        Raises:
            StoreFull: there is no room, and no picture that could go.
            BackendDown: the folder can't be written, or Redis can't tell which pictures could go.
        """
        put = partial(self._put_durably if durable else self.store.put, image)
        try:
            return put()
        except StoreFull:
            try:
                retry = self._eviction.make_room(len(image))
            except OSError as error:
                raise BackendDown(f"old pictures can't be deleted: {error.strerror}") from error
            if not retry:
                raise
        return put()

    def remove(self, names: Sequence[str], *, idle_s: float, reason: Reason) -> int:
        """Delete those of the pictures that no job needs and that were last sent over ``idle_s`` seconds ago.

        Returns:
            The disk space that they took, in bytes.

        Raises:
            BackendDown: Redis can't tell.
            OSError: a file can't be moved or deleted.
        """
        freed = self.store.remove(names, idle_s=idle_s, held=self._held)
        if freed:
            self.count_deleted(reason, freed)
        return freed

    def _put_durably(self, image: bytes) -> str:
        put = wrap_errors(ServiceError, self.store.put)  # gevent would log what a thread raises
        name: str | ServiceError = get_hub().threadpool.apply(put, (image,), {"durable": True})
        if isinstance(name, ServiceError):
            raise name
        return name
