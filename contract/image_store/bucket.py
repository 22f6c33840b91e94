"""A bucket of an object store, by obstore: bounded tries, a deadline for each operation, and our errors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from contract.errors import RETRY_LATER_S, BackendDown, StoreMisused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from contract.bucket_address import BucketAddress

CONNECT_WITHIN_S = 2.0
MOST_RETRIES = 3
LONGEST_PAUSE_S = 1.0
LISTED_AT_ONCE = 1000  # what one request lists
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>|\"code\":\s*\"(\w+)\"")
_METADATA = "169.254."  # where a cloud's machines ask for their credentials
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")
_MAY_PASS = {"404", "408", "409", "412", "425", "429"}  # of the 4xx


FAILURES = (BaseError, OSError, ValueError)  # that obstore raises
Found = TypeVar("Found")


class Runner(Protocol):
    """Calls a function that blocks, in this thread or in another, and returns what it returns."""

    def __call__(self, function: Callable[[], Found], /) -> Found: ...


def directly(function: Callable[[], Found], /) -> Found:
    return function()


class Seen(NamedTuple):
    """What a store says of an object: when it was stored, in Unix seconds, by the store's clock; its size; its tag."""

    stored_at: float
    size_bytes: int
    tag: str


class Listed(NamedTuple):
    """An object's last part of its name, when it was stored, in Unix seconds, and its size."""

    name: str
    stored_at: float
    size_bytes: int


class Bucket:
    """One place in a bucket; safe to use from many threads at once, of the process that made it: not from its forks.

    Credentials are the cloud's ordinary ones: of the environment, or of the machine.

    Args:
        endpoint: of an object store of one's own; empty for the cloud's.
        ca_file: certificates, in PEM, that are trusted beside the system's.
        timeout_s: how long one operation may take, tries included; the last try may begin in the middle of that.
        run: calls what blocks.
    """

    def __init__(
        self,
        address: BucketAddress,
        *,
        endpoint: str = "",
        ca_file: Path | None = None,
        timeout_s: float = 10.0,
        run: Runner = directly,
    ) -> None:
        self.address = address
        self._run = run
        try_s = timedelta(seconds=timeout_s / 2)
        client: Any = {
            "timeout": try_s,
            "connect_timeout": min(try_s, timedelta(seconds=CONNECT_WITHIN_S)),
            "allow_http": endpoint.startswith("http://"),
        }
        if ca_file is not None:
            client["root_certificate"] = ca_file.read_bytes()
        pauses: Any = {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=LONGEST_PAUSE_S)}
        retries: Any = {"max_retries": MOST_RETRIES, "retry_timeout": try_s, "backoff": pauses}
        options: Any = {"prefix": address.prefix or None, "client_options": client, "retry_config": retries}
        try:
            match address.scheme:
                case "s3":
                    options |= {"endpoint": endpoint} if endpoint else {}
                    self._store: Any = S3Store(address.bucket, **options)
                case "gs":
                    options |= {"base_url": endpoint} if endpoint else {}
                    self._store = GCSStore(address.bucket, **options)
                case "az":
                    options |= {"endpoint": endpoint} if endpoint else {}
                    self._store = AzureStore(address.bucket, **options)
        except (BaseError, ValueError, OSError) as error:  # as an account's name that is missing
            raise StoreMisused(
                "the store of pictures is not set up: what its cloud needs in the environment is missing or wrong",
                RETRY_LATER_S,
                cause=_first_line(error),
            ) from error

    def create(self, path: str, data: bytes) -> str | None:
        """Store an object; returns its tag, or None if there is one of this name, which stays as it is.

        Raises:
            BackendDown: the store fails or is away. The object may be there all the same.
        """
        try:
            return self._put(path, data, "create")
        except (AlreadyExistsError, PreconditionError):
            return None
        except FAILURES as error:
            raise _ours(error) from error

    def replace(self, path: str, data: bytes) -> str:
        """Store an object whatever is there; returns its tag. Raises BackendDown, as ``create``."""
        try:
            return self._put(path, data, "overwrite")
        except FAILURES as error:
            raise _ours(error) from error

    def read(self, path: str) -> bytes | None:
        """The bytes of an object; None if there is none. Raises BackendDown."""
        try:
            return self._run(lambda: bytes(obstore.get(self._store, path).bytes()))
        except FAILURES as error:
            if _is_missing(error):
                return None
            raise _ours(error) from error

    def read_part(self, path: str, start: int, length: int) -> bytes:
        """So many bytes of an object, or fewer at its end. Raises BackendDown: also if there is none."""
        try:
            return self._run(lambda: bytes(obstore.get_range(self._store, path, start=start, length=length)))
        except FAILURES as error:
            raise _ours(error) from error

    def look(self, path: str) -> Seen | None:
        """What the store says of an object; None if there is none. Raises BackendDown."""
        try:
            found = self._run(lambda: obstore.head(self._store, path))
        except FAILURES as error:
            if _is_missing(error):
                return None
            raise _ours(error) from error
        return Seen(found["last_modified"].timestamp(), found["size"], (found["e_tag"] or "").strip('"'))

    def delete(self, path: str) -> None:
        """Delete an object, if it is there. Raises BackendDown."""
        try:
            self._run(lambda: obstore.delete(self._store, path))
        except FAILURES as error:
            if not _is_missing(error):
                raise _ours(error) from error

    def pages(self, folder: str) -> Iterator[list[Listed]]:
        """All objects whose names have ``folder`` before a slash, in pages: a request each.

        Raises:
            BackendDown: as a page is asked for.
        """
        pages = obstore.list(self._store, folder, chunk_size=LISTED_AT_ONCE)
        while True:
            try:
                page = self._run(lambda: next(pages, None))
            except FAILURES as error:
                raise _ours(error) from error
            if page is None:
                return
            yield [
                Listed(entry["path"].rpartition("/")[2], entry["last_modified"].timestamp(), entry["size"])
                for entry in page
            ]

    def signed_address(self, path: str, good_for: timedelta) -> str:
        """An address under which whoever has it may look at the object. Raises BackendDown."""
        try:
            return str(self._run(lambda: obstore.sign(self._store, "HEAD", path, good_for)))
        except FAILURES as error:
            raise _ours(error) from error

    def _put(self, path: str, data: bytes, mode: Literal["create", "overwrite"]) -> str:
        put = self._run(lambda: obstore.put(self._store, path, data, mode=mode, use_multipart=False))
        return (put["e_tag"] or "").strip('"')


def _is_missing(error: Exception) -> bool:
    """Whether it says that there is no such object, in a bucket that is there. Looking alone does not tell."""
    return isinstance(error, FileNotFoundError) and not _has_no_bucket(str(error))


def _ours(error: Exception) -> BackendDown:
    """What a library's error means to us; what it says of signatures and keys goes nowhere."""
    text = str(error)
    code = next((first or second for first, second in _CODE.findall(text)), "")
    cause = f"{_first_line(error)} {code}".strip()
    said = None
    status = _STATUS.search(text)
    if _has_no_bucket(text):
        said = "its bucket is not there"
    elif code == "RequestTimeTooSkewed":
        said = "this machine's clock is wrong"
    elif _METADATA in text:
        said = "it has no credentials"
    elif isinstance(error, PermissionDeniedError | UnauthenticatedError):
        said = "its credentials are refused"
    elif code == "NotImplemented":
        said = "it can't do what is asked of it"
    elif status is not None and status[1][0] in "34" and status[1] not in _MAY_PASS:
        said = "it refuses requests, as with a wrong region or address"
    if said is not None:
        return StoreMisused(f"the store of pictures can't be used: {said}", RETRY_LATER_S, cause=cause)
    return BackendDown("the store of pictures does not answer", cause=cause)


def _has_no_bucket(text: str) -> bool:
    return any(words in text for words in _NO_BUCKET)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(": <?xml")[0][:500]
