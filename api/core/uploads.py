"""The pictures that senders have uploaded: where one is stored, and the one way in which any is deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from gevent import get_hub
from gevent.util import wrap_errors

from api.core.eviction import Eviction
from api.core.sender_rate import SenderRate
from contract import picture_holders
from contract.errors import BackendDown, ServiceError, StoreFull
from contract.image_store import ImageStore
from contract.store_room import room_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from api.settings import Settings

Reason = Literal["room", "age", "refused"]
YOUNG_SHARE = 0.5  # of all room that one sender's latest pictures may take: nobody can delete those
BEFORE_SUBMITTING_S = 60.0  # beyond a request's deadline: Redis' own timeouts, clocks that differ, RENEWED_AFTER_S


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
        assert self.store.room is not None  # noqa: S101  # a bounded store has one
        self.room = self.store.room
        self.idle_s = settings.request_timeout_s + BEFORE_SUBMITTING_S
        self.count_deleted: Callable[[Reason, int], None] = lambda _reason, _bytes: None
        most_young_bytes = int(YOUNG_SHARE * settings.uploads_mb * 1_000_000 / settings.web_concurrency)
        self._rate = SenderRate(
            most_young_bytes, self.idle_s, "this address sends more bytes than the service has room for at the moment"
        )
        self._held = partial(picture_holders.held, redis)
        self._eviction = Eviction(
            settings.upload_dir,
            self.store,
            self.room,
            idle_s=self.idle_s,
            remove=partial(self.remove, idle_s=self.idle_s, reason="room"),
        )

    def put(self, image: bytes, sender: str, *, durable: bool = False) -> str:
        """Store a picture, as ``ImageStore.put`` does; older ones are deleted if there is no room for it.

        A durable one is stored in a thread, so that no other request waits for the disk.

        Raises:
            OverShare: the sender's latest pictures, which can't be deleted yet, take its share of the room.
            StoreFull: there is no room, and no picture that could go.
            BackendDown: the folder can't be written, or Redis can't tell which pictures could go.
        """
        take_back = self._rate.count(sender, room_for(len(image)))
        younger = False
        try:
            name, younger = self._put(image, durable=durable)
        finally:
            if not younger:
                take_back()
        return name

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

    def _put(self, image: bytes, *, durable: bool) -> tuple[str, bool]:
        put = partial(self._put_durably if durable else self.store.put_and_tell, image)
        try:
            return put()
        except StoreFull:
            try:
                retry = self._eviction.make_room(len(image))
            except OSError as error:
                raise BackendDown(f"old pictures can't be deleted: {error.strerror or error}") from error
            if not retry:
                raise
        return put()

    def _put_durably(self, image: bytes) -> tuple[str, bool]:
        put = wrap_errors(ServiceError, self.store.put_and_tell)  # gevent would log what a thread raises
        ended: tuple[str, bool] | ServiceError = get_hub().threadpool.apply(put, (image,), {"durable": True})
        if isinstance(ended, ServiceError):
            raise ended
        return ended
