"""The pictures that senders have uploaded: where one is stored, and the one way in which any is deleted."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gevent import get_hub
from gevent.util import wrap_errors

from api.core.eviction import Eviction
from api.core.in_hand import InHand
from api.core.native_threads import NativeThreads
from api.core.sender_rate import SenderRate
from api.settings import BEFORE_SUBMITTING_S
from contract import picture_holders
from contract.copy_store import CopyStore
from contract.errors import RETRY_LATER_S, BackendDown, ServiceError, StoreFull
from contract.image_store import ImageStore, PictureStore
from contract.image_store.opening import open_bucket
from contract.store_room import Room, UncountedRoom, room_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis

    from api.settings import Settings
    from contract.copy_store import Copies
    from contract.image_store.bucket import Bucket
    from contract.image_store.bucket_copies import BucketCopies
    from contract.image_store.bucket_store import BucketStore

Reason = Literal["room", "age", "refused", "done", "asked"]
RENEWED_SHARE = 0.5  # of the time that a picture is kept in a bucket; then it is stored again if it is sent again
STORE_SHARE = 0.5  # of a request's time that one operation of a bucket may take
YOUNG_SHARE = 0.5  # of all room that one sender's latest pictures may take: nobody can delete those


class SentPicture:
    """A picture that a request brought: in a folder it is stored at once, in a bucket when a job is to need it.

    A stored answer then costs nothing there, and is given while the bucket is away.
    """

    def __init__(self, name: str, put: Callable[[], object] | None) -> None:
        self.name = name
        self._put = put

    @property
    def is_stored(self) -> bool:
        """Whether this request has stored it."""
        return self._put is None

    def keep(self) -> None:
        """Have it stored. Its bytes are let go of then. Raises as ``Uploads.put``."""
        if self._put is not None:
            self._put()
            self._put = None


class Uploads:
    """One per process.

    Attributes:
        store: for reading.
        copies: clean copies of the stored pictures, also with objects drawn on them, which workers make; in a folder
            they count as the pictures do.
        in_folder, in_bucket: store and copies, whichever of the two it is; the other is None.
        idle_s: a picture sent less than so many seconds ago may have a request that has not submitted its job yet.
        count_deleted: called with the reason and the number of bytes whenever pictures are deleted.
    """

    store: PictureStore
    copies: Copies
    room: Room

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self.idle_s = settings.request_timeout_s + BEFORE_SUBMITTING_S
        self.in_folder: tuple[ImageStore, CopyStore] | None = None
        self.in_bucket: tuple[BucketStore, BucketCopies] | None = None
        self._held = partial(picture_holders.held, redis)
        self._make_room: Callable[[int], bool] = lambda _size_bytes: False
        run = NativeThreads().run if settings.bucket_address is not None else None
        bucket = open_bucket(settings, run, within_s=STORE_SHARE * settings.request_timeout_s)
        if bucket is None:
            self._use_folder(Path(settings.image_store), settings)
        else:
            self._use_bucket(bucket, settings)
        self._in_hand: InHand | None = None
        if settings.store_uploads == "none":
            self._in_hand = InHand(self.store)
            self.store.renewed_after_s = 0.0  # so that its age tells whether anybody has sent it later
        self.count_deleted: Callable[[Reason, int], None] = lambda _reason, _bytes: None
        most_young_bytes = int(YOUNG_SHARE * settings.uploads_mb * 1_000_000 / settings.web_concurrency)
        self._rate = SenderRate(
            most_young_bytes, self.idle_s, "this address sends more bytes than the service has room for at the moment"
        )

    def _use_folder(self, folder: Path, settings: Settings) -> None:
        copies = CopyStore(settings.copies_dir)
        store = ImageStore.bounded(
            folder,
            most_bytes=settings.uploads_mb * 1_000_000,
            reserve_bytes=settings.disk_reserve_mb * 1_000_000,
            beside=copies.shard_bytes,
        )
        assert store.room is not None  # noqa: S101  # a bounded store has one
        self.in_folder = store, copies
        self.store, self.copies, self.room = store, copies, store.room
        remove = partial(self.remove, idle_s=self.idle_s, reason="room")
        self._make_room = Eviction(folder, store, store.room, idle_s=self.idle_s, remove=remove).make_room

    def _use_bucket(self, bucket: Bucket, settings: Settings) -> None:
        from contract.image_store.bucket_copies import BucketCopies  # noqa: PLC0415  as in opening
        from contract.image_store.bucket_store import BucketStore  # noqa: PLC0415

        store = BucketStore(bucket, renewed_after_s=RENEWED_SHARE * settings.pictures_kept_for_s)
        copies = BucketCopies(bucket)
        self.in_bucket = store, copies
        self.store, self.copies, self.room = store, copies, UncountedRoom()

    def sent(self, image: bytes, sender: str, *, durable: bool = False) -> SentPicture:
        """A picture of a request, which may be answered without it. Raises as ``put``, where it is stored at once."""
        put = partial(self.put, image, sender, durable=durable)
        if self.in_folder is not None:
            return SentPicture(put(), None)
        return SentPicture(hashlib.sha256(image).hexdigest(), put)

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
        with suppress(BackendDown, OSError):
            ages_s = {name: age_s for name in names if (age_s := self._in_hand.let_go(name)) is not None}
            if ages_s:
                # Who sends one just now makes it younger than half of that.
                self.remove(list(ages_s), idle_s=min(ages_s.values()) / 2, reason="done")

    def delete(self, name: str) -> None:
        """Delete a picture and its copies because its sender, or an operator, wants that, whoever else needs it.

        Raises:
            OSError: a file can't be moved or deleted.
            BackendDown: the bucket can't be reached.
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
            if self.room.has(size_bytes) or self._make_room(size_bytes):
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
            BackendDown: Redis can't tell, or the bucket can't be reached.
            OSError: a file can't be moved or deleted.
        """
        freed = self.store.remove(names, idle_s=idle_s, held=self._held)
        freed += self.remove_copies(names)
        if freed:
            self.count_deleted(reason, freed)
        return freed

    def _put(self, image: bytes, *, durable: bool) -> tuple[str, bool]:
        put = partial(self._put_durably if durable and self.in_folder else self.store.put_and_tell, image)
        try:
            return put()
        except StoreFull:
            try:
                retry = self._make_room(len(image))
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
