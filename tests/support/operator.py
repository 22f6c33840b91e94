"""An operator who changes, over HTTP, which version of a model answers."""

from __future__ import annotations

from typing import Any

import requests

from tests.support.workers import eventually

ADMIN_KEY = "an-admin-key-for-this-test"
TIMEOUT_S = 200  # workers may load for 90 s
CHECK_S = 240  # for 250 pictures on two versions, behind everything else on a busy machine


class Operator:
    """With the admin's key of a service at ``url``."""

    def __init__(self, url: str, model: str) -> None:
        self._url = f"{url}/admin/models/{model}"

    def send(self, method: str, path: str, **fields: object) -> requests.Response:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        return requests.request(method, f"{self._url}/{path}", json=fields, headers=headers, timeout=TIMEOUT_S)

    def name(self, version: str) -> None:
        """Make it the candidate."""
        told = self.send("PUT", "candidate", version=version)
        assert told.status_code == requests.codes.ok, told.text

    def begin(self) -> dict[str, Any]:
        told = self.send("POST", "candidate/check")
        assert told.status_code == requests.codes.accepted, told.text
        return dict(told.json())

    def look(self) -> dict[str, Any]:
        return dict(self.send("GET", "candidate/check").json())

    def ended(self) -> dict[str, Any]:
        """The check once it does not run any more."""
        return dict(eventually(lambda: (now := self.look())["state"] != "running" and now, "the check ends", CHECK_S))

    def checked(self) -> dict[str, Any]:
        """The same, which has a report."""
        ended = self.ended()
        assert "report" in ended, ended
        return ended
