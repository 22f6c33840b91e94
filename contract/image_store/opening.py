"""The stores that the settings name. What a bucket needs is imported only where there is one."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from contract.copy_store import CopyStore
from contract.image_store.folder import ImageStore

if TYPE_CHECKING:
    from contract.copy_store import Copies
    from contract.image_store.bucket import Bucket, Runner
    from contract.image_store.interface import PictureStore
    from contract.settings import SharedSettings


def open_bucket(settings: SharedSettings, run: Runner | None = None, *, within_s: float = inf) -> Bucket | None:
    """The bucket that IMAGE_STORE names; None if it names a folder. Nothing is connected yet.

    Args:
        run: calls what blocks; None to do so directly.
        within_s: how long an operation may take at most, whatever the settings say.

    Raises:
        StoreMisused: what its cloud needs in the environment is missing.
    """
    if settings.bucket_address is None:
        return None
    from contract.image_store.bucket import Bucket, directly  # noqa: PLC0415  21 MB that a service with a folder does without

    return Bucket(
        settings.bucket_address,
        endpoint=settings.image_store_endpoint,
        ca_file=settings.image_store_ca_file,
        timeout_s=min(within_s, settings.image_store_timeout_s),
        run=run or directly,
    )


def open_to_read(settings: SharedSettings) -> tuple[PictureStore, Copies]:
    """The pictures, for a worker, which stores none, and their copies, which it makes.

    Raises:
        StoreMisused: as ``open_bucket``.
    """
    bucket = open_bucket(settings)
    if bucket is None:
        return ImageStore(Path(settings.image_store)), CopyStore(settings.copies_dir)
    from contract.image_store.bucket_copies import BucketCopies  # noqa: PLC0415  as above
    from contract.image_store.bucket_store import BucketStore  # noqa: PLC0415

    return BucketStore(bucket), BucketCopies(bucket)
