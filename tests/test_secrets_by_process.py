"""Each process of the running service gets the secrets that it needs and no others, as the kernel shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = {
    "ADMIN_API_KEY": "the-admin-key-of-this-test",
    "LINK_SECRET": "a-secret-for-links-of-this-test-alone",
    "A_KEY_TO_SOMETHING_ELSE": "of-the-developer-who-started-it",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("secrets"), WORKERS="1", WEB_CONCURRENCY="1", **SECRETS) as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "its_own"),
    [("valkey", set()), ("model.worker", set()), ("gunicorn", {"ADMIN_API_KEY", "LINK_SECRET"})],
)
def test_a_process_has_its_own_secrets_only(stack: Stack, words: str, its_own: set[str]):
    """A worker decodes strangers' pictures, and may be taken over: it can't tell what it was never told."""
    processes = stack.parts(words)
    assert processes
    for process in processes:
        environment = process.environ()

        assert SECRETS.keys() & environment.keys() == its_own
        assert {value for value in SECRETS.values() if value in environment.values()} == {
            SECRETS[name] for name in its_own
        }


@pytest.mark.long
def test_a_worker_is_told_of_none_of_the_apis_files(stack: Stack):
    """Where feedback, keys and the secret of links are is none of its business."""
    for worker in stack.parts("model.worker"):
        assert {"FEEDBACK_DIR", "API_KEYS_FILE", "LINK_SECRET_FILE", "HOST", "PORT"} & worker.environ().keys() == set()
