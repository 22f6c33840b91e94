"""The pictures that senders have uploaded: where one is stored, and the one way in which any is deleted."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

from gevent import get_hub
from gevent.util import wrap_errors

from api.core.eviction import Eviction
from api.core.in_hand import InHand
from api.core.sender_rate import SenderRate
from api.settings import BEFORE_SUBMITTING_S
from contract import picture_holders
from contract.copy_store import CopyStore
from contract.errors import RETRY_LATER_S, BackendDown, ServiceError, StoreFull
from contract.image_store import ImageStore
from contract.store_room import room_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis

    from api.settings import Settings

Reason = Literal["room", "age", "refused", "done", "asked"]
YOUNG_SHARE = 0.5  # of all room that one sender's latest pictures may take: nobody can delete those


class Uploads:
    """One per process.

    Attributes:
        store: for reading.
        copies: clean copies of the stored pictures, also with objects drawn on them, which workers make; they count as
            the pictures do.
        idle_s: a picture sent less than so many seconds ago may have a request that has not submitted its job yet.
        count_deleted: called with the reason and the number of bytes whenever pictures are deleted.
    """

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.copies = CopyStore(settings.copies_dir)
        self.store = ImageStore.bounded(
            settings.upload_dir,
            most_bytes=settings.uploads_mb * 1_000_000,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
            beside=self.copies.shard_bytes,
        )
        self._in_hand: InHand | None = None
        if settings.store_uploads == "none":
            self._in_hand = InHand(self.store)
            self.store.renewed_after_s = 0.0  # so that a file tells whether anybody has sent it later
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
        if self._in_hand is not None:
            self._in_hand.take(name)
        return name

    @contextmanager
    def holding(self, image: bytes, sender: str) -> Iterator[str]:
        """As ``put``, and ``finished`` at the end of the context.

        Raises:
            OverShare, StoreFull, BackendDown: as ``put``.
        """
        name = self.put(image, sender)
        try:
            yield name
        finally:
            self.finished(name)

    def finished(self, *names: str) -> None:
        """Say that a request is over for which each of the pictures was ``put``; to be called once for each.

        With ``STORE_UPLOADS=none`` those go that no job, no other request of this process, and nobody who has sent them
        since needs. What can't be deleted now goes by its age. It takes two round trips, however many they are.
        """
        if self._in_hand is None:
            return
        ages_s = {name: age_s for name in names if (age_s := self._in_hand.let_go(name)) is not None}
        if ages_s:
            with suppress(BackendDown, OSError):
                # Who sends one just now makes it younger than half of that.
                self.remove(list(ages_s), idle_s=min(ages_s.values()) / 2, reason="done")

    def delete(self, name: str) -> None:
        """Delete a picture and its copies because its sender, or an operator, wants that, whoever else needs it.

        Raises:
            OSError: a file can't be moved or deleted.
        """
        freed = self.store.delete(name)
        freed += self.remove_copies([name])  # after the picture: a worker that stores one now looks for that
        if freed:
            self.count_deleted("asked", freed)

    def check_room_for_copy(self, name: str) -> None:
        """Make room for a picture's copy, which takes about as much as it does itself.

        Raises:
            PictureNotFound: there is no such picture.
            StoreFull: there is no room, and no picture that could go.
            BackendDown: the folder can't be written, or Redis can't tell which pictures could go.
        """
        size_bytes = self.store.size_bytes(name)
        try:
            if self.room.has(size_bytes) or self._eviction.make_room(size_bytes):
                return
        except OSError as error:
            raise BackendDown("old pictures can't be deleted to make room", cause=str(error)) from error
        raise StoreFull("the service has no room for a copy of this picture", RETRY_LATER_S)

    def count_copy(self, name: str, size_bytes: int) -> None:
        """Count a copy that a worker has stored; if that fails, the sweeper does."""
        with suppress(OSError):
            self.room.add(_shard(name), size_bytes)

    def remove_copies(self, names: Sequence[str]) -> int:
        """Delete the copies of those pictures that are not stored any more; returns the disk space that they took.

        Raises:
            OSError: one can't be deleted.
        """
        total = 0
        for name in names:
            if name not in self.store:
                total += sum(self.remove_copy(copy) for copy in self.copies.names(name))
        return total

    def remove_copy(self, name: str) -> int:
        """Delete one copy, whether its picture is stored or not; returns the disk space that it took.

        Raises:
            OSError: it can't be deleted.
        """
        freed = self.copies.remove(name)
        if freed:
            self.room.give_back(_shard(name), freed)
        return freed

    def remove(self, names: Sequence[str], *, idle_s: float, reason: Reason) -> int:
        """Delete those of the pictures that no job needs and that were last sent over ``idle_s`` seconds ago.

        Returns:
            The disk space that they took, in bytes.

        Raises:
            BackendDown: Redis can't tell.
            OSError: a file can't be moved or deleted.
        """
        freed = self.store.remove(names, idle_s=idle_s, held=self._held)
        freed += self.remove_copies(names)
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
                raise BackendDown("old pictures can't be deleted to make room", cause=str(error)) from error
            if not retry:
                raise
        return put()

    def _put_durably(self, image: bytes) -> tuple[str, bool]:
        put = wrap_errors(ServiceError, self.store.put_and_tell)  # gevent would log what a thread raises
        ended: tuple[str, bool] | ServiceError = get_hub().threadpool.apply(put, (image,), {"durable": True})
        if isinstance(ended, ServiceError):
            raise ended
        return ended


def _shard(name: str) -> int:
    return int(name[:2], 16)
