from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from local.preflight import CannotStart, check
from local.settings import Settings


def test_a_full_disk_is_found_before_anything_starts(tmp_path, monkeypatch):
    """Half-started on a full disk, the queue would refuse every request later on."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # as shutil's
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 0))
    settings = Settings(data_dir=tmp_path, model_path=tmp_path, port=65535)

    with pytest.raises(CannotStart, match=r"the disk of DATA_DIR=.* is full: 0 MB free"):
        check(settings)


@pytest.mark.parametrize("host", ["::", "192.0.2.1", "nowhere.invalid"])
def test_an_address_that_is_not_this_machines_is_named_as_the_fault(tmp_path, host):
    """Another port would not help. No machine has 192.0.2.1 (RFC 5737), or a name under .invalid (RFC 6761)."""
    settings = Settings(host=host, data_dir=tmp_path, model_path=tmp_path, port=65535)

    with pytest.raises(CannotStart, match=f"^HOST={host} is not an IPv4 address or name of this machine$"):
        check(settings)
