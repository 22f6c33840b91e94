"""Whom the bounds of a sender hold for."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from api.core.sender_names import UNKNOWN
from api.http.sender import sender_of

if TYPE_CHECKING:
    from api.settings import Networks

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "sender"),
    [
        ("192.0.2.7", "", (), "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", (), "192.0.2.7"),  # written by the sender himself
        ("192.0.2.7", "198.51.100.1", PROXIES, "192.0.2.7"),
        ("10.1.1.1", "198.51.100.1", PROXIES, "198.51.100.1"),
        ("10.1.1.1", "203.0.113.9, 198.51.100.1", PROXIES, "198.51.100.1"),  # the first one is the sender's own
        ("10.1.1.1", "198.51.100.1, 10.2.2.2", PROXIES, "198.51.100.1"),  # two proxies in a row
        ("10.1.1.1", "", PROXIES, "10.1.1.1"),
        ("10.1.1.1", "10.3.3.3, 10.2.2.2", PROXIES, "10.3.3.3"),
        (
            "10.1.1.1",
            "203.0.113.9:80, 198.51.100.1:4711, 10.2.2.2:443",
            PROXIES,
            "198.51.100.1",
        ),  # proxies that write it
        ("10.1.1.1", "[2001:db8:1:2:aaaa::1]:4711", PROXIES, "2001:db8:1:2::/64"),
        ("fd00::1", "2001:db8:1:2:aaaa::1", PROXIES, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:aaaa::1", "", (), "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "", (), "192.0.2.7"),
        ("::ffff:10.1.1.1", "198.51.100.1", PROXIES, "198.51.100.1"),
        ("10.1.1.1", "nonsense", PROXIES, UNKNOWN),
        ("", "", (), UNKNOWN),
    ],
)
def test_a_sender_is_the_nearest_address_that_is_no_trusted_proxy(
    peer: str, forwarded_for: str, trusted: Networks, sender: str
) -> None:
    environ = {"REMOTE_ADDR": peer} | ({"HTTP_X_FORWARDED_FOR": forwarded_for} if forwarded_for else {})

    assert sender_of(environ, trusted) == sender
