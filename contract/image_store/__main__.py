"""``python -m contract.image_store``: try whether the API can use the store that the settings name, and say why not.

The API asks it in a process of its own before it forks: what speaks to object stores can't be forked.
"""

from __future__ import annotations

import argparse
import os
import sys

from contract.errors import BackendDown, StoreMisused
from contract.image_store.check import check_to_write
from contract.image_store.opening import open_bucket
from contract.settings import EXIT_BAD_SETTINGS, SharedSettings, load_settings


def main() -> int:
    """Returns 0 if it can be used, EXIT_BAD_SETTINGS if somebody has to act, EX_TEMPFAIL if it is away."""
    parser = argparse.ArgumentParser(prog="python -m contract.image_store", description=__doc__)
    parser.add_argument("--needed-for-s", type=float, default=0.0, help="how long a picture may be needed")
    needed_for_s = parser.parse_args().needed_for_s
    settings = load_settings(SharedSettings)
    try:
        bucket = open_bucket(settings)
        if bucket is None:
            return 0
        check_to_write(bucket, needed_for_s=needed_for_s, ca_file=settings.image_store_ca_file)
    except BackendDown as error:
        why = f"{error} ({error.cause})" if error.cause else str(error)
        print(f"IMAGE_STORE={settings.image_store}: {why}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_SETTINGS if isinstance(error, StoreMisused) else os.EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    sys.exit(main())
