"""Whether a bucket can be used as it is set up, tried at the start: an operator should not learn it from senders."""

from __future__ import annotations

import logging
import re
import ssl
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import Request, urlopen

from contract.errors import RETRY_LATER_S, StoreMisused
from contract.image_store.bucket_store import PROBE, PROBED

if TYPE_CHECKING:
    from pathlib import Path

    from contract.image_store.bucket import Bucket

log = logging.getLogger(__name__)

CLOCKS_DIFFER_BY_S = 30.0  # at most: a picture's age is told by the store's clock
LOOK_WITHIN_S = 5.0
RULES_SHARE = 2.0  # a rule of the bucket's must be this many times longer than pictures may be needed
_EXPIRY = re.compile(r'expiry-date="([^"]+)"')


def check_to_write(bucket: Bucket, *, needed_for_s: float, ca_file: Path | None = None) -> None:
    """Store a small object, as the API does with pictures.

    Args:
        needed_for_s: how long a picture may be needed after it was stored for the first time.
        ca_file: as the bucket's.

    Raises:
        StoreMisused: an operator has to act, or pictures could not be stored or would go too early.
        BackendDown: the store is away.
    """
    bucket.create(PROBE, PROBED)
    bucket.replace(PROBE, PROBED)
    seen = bucket.look(PROBE)
    differ_by_s = abs(seen.stored_at - time.time()) if seen is not None else 0.0
    if differ_by_s > CLOCKS_DIFFER_BY_S:
        raise StoreMisused(
            f"the store of pictures can't be used: its clock and this machine's differ by {differ_by_s:.0f} s",
            RETRY_LATER_S,
        )
    gone_after_s = _gone_after_s(bucket, ca_file)
    if gone_after_s is not None and gone_after_s < RULES_SHARE * needed_for_s:
        gone_h, needed_h = gone_after_s / 3600, needed_for_s / 3600
        raise StoreMisused(
            f"the store of pictures can't be used: a rule of its bucket deletes them after {gone_h:.0f} h, and they "
            f"may be needed for {needed_h:.0f} h (RETENTION_HOURS, JOB_TTL_S): it must take more than twice as long",
            RETRY_LATER_S,
        )


def _gone_after_s(bucket: Bucket, ca_file: Path | None) -> float | None:
    """When a rule of the bucket deletes an object of now, in seconds; None if there is none, or it is not told.

    S3 says it in a header of each object, which obstore does not hand on.
    """
    if bucket.address.scheme != "s3":
        return None
    address = bucket.signed_address(PROBE, timedelta(minutes=1))
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    try:
        with urlopen(Request(address, method="HEAD"), timeout=LOOK_WITHIN_S, context=context) as answer:  # noqa: S310  of our own making
            found = _EXPIRY.search(answer.headers.get("x-amz-expiration", ""))
    except (URLError, OSError) as error:
        log.info("whether the bucket has a rule that deletes can't be told: %s", error)
        return None
    try:
        return None if found is None else parsedate_to_datetime(found[1]).timestamp() - time.time()
    except ValueError:
        return None
