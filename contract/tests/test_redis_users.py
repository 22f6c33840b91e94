"""What Redis lets each user do, line by line of the table: asked by ACL DRYRUN of the servers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from contract.redis_users import API, HEALTH, LINES, OPERATOR, WORKER, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

# What follows a command's key, so that Redis can tell which keys it names.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("decrby", "expire", "incrby", "pexpire", "lpush", "rpush", "sadd", "set", "srem", "hdel"), ("1",)),
    **dict.fromkeys(("hexists", "hget", "hmget", "zrem", "append"), ("1",)),
    **dict.fromkeys(("lrange", "lrem", "setrange", "restore", "zcount", "zrange", "zrevrange"), ("0", "1")),
    **dict.fromkeys(("zrangebyscore", "zremrangebyscore"), ("0", "1")),
    **dict.fromkeys(("hset", "hincrby", "zadd", "setex"), ("1", "1")),
    "xadd": ("*", "field", "value"),
    "xrevrange": ("+", "-"),
}
# Of all that nobody here is granted, what would be worth most.
NEVER_ON_A_KEY = ("getdel", "dump", "restore", "append", "setrange", "sort", "unlink", "setex")
NEVER = (
    "flushall", "flushdb", "keys *", "scan 0", "randomkey", "dbsize", "eval x 0", "script load x", "function list",
    "fcall x 0", "config get *", "config set maxmemory 1", "acl list", "acl setuser api", "acl whoami", "monitor",
    "debug sleep 0", "shutdown", "save", "bgsave", "bgrewriteaof", "replicaof no one", "migrate h 1 k 0 1",
    "module list", "client kill id 1", "client pause 1", "publish c m", "subscribe c", "select 1", "swapdb 0 1",
    "slowlog get", "latency doctor", "memory stats", "info server", "cluster info", "wait 0 0", "lastsave", "role",
)  # fmt: skip
ALL_LINES = [(user, line) for user, lines in LINES.items() for line in lines]
EVERY_LINE = [pytest.param(user, line, id=f"{user}: {line.purpose}") for user, line in ALL_LINES]
ON_KEYS = {command for _, line in ALL_LINES if line.reads or line.writes for command in line.commands.split()}


@pytest.fixture(scope="module")
def operator(any_server: Server) -> Iterator[Redis]:
    with Redis.from_url(any_server.operator_url, decode_responses=True) as client:
        yield client


def refused(operator: Redis, user: str, command: str, key: str) -> bool:
    return refuses(operator, user, *spelt_out(command, key))


def refuses(operator: Redis, user: str, *command: str) -> bool:
    """What Redis would say to the user; whatever else is wrong with the command fails the test."""
    verdict: Any = operator.execute_command("ACL DRYRUN", user, *command)
    assert verdict == "OK" or "has no permissions to" in verdict, verdict
    return bool(verdict != "OK")


def spelt_out(command: str, key: str) -> tuple[str, ...]:
    match command:
        case "xread":
            return ("xread", "streams", key, "0")
        case "lmove" | "blmove":
            return (command, key, f"{key}:intermediate", "left", "right", *(["1"] if command == "blmove" else []))
        case "rename":
            return ("rename", key, f"garbage:{key}")
    return (command, key, *ARGUMENTS.get(command, ()))


def sample(pattern: str) -> str:
    return pattern.replace("*", "some")


def patterns(line: Line) -> list[str]:
    return (line.reads or line.writes).split()


def granted(user: str, pattern: str) -> set[str]:
    return {
        command
        for line in LINES[user]
        if pattern in f"{line.reads} {line.writes}".split()
        for command in line.commands.split()
    }


@pytest.mark.parametrize(("user", "line"), EVERY_LINE)
def test_a_line_grants_its_commands_on_its_keys(operator, user, line):
    for command in line.commands.split():
        if not patterns(line):
            assert not refuses(operator, user, *command.split("|"), *(["x"] if command == "client|setname" else []))
        for pattern in patterns(line):
            assert not refused(operator, user, command, sample(pattern))


@pytest.mark.parametrize(("user", "line"), EVERY_LINE)
def test_a_line_grants_nothing_beyond_itself(operator, user, line):
    """Neither its commands on a key of nobody's, nor on its keys the commands that only others need."""
    for command in line.commands.split() if patterns(line) else ():
        assert refused(operator, user, command, "a-key-of-nobody")
    for pattern in {*line.reads.split(), *line.writes.split()}:
        for command in {*ON_KEYS, *NEVER_ON_A_KEY} - granted(user, pattern):
            assert refused(operator, user, command, sample(pattern)), (command, pattern)


@pytest.mark.parametrize("user", LINES)
def test_what_looks_at_all_keys_or_changes_the_server_is_nobodys(operator, user):
    """Whoever takes a side over must not read what he has no name of, nor stop, copy or reconfigure the queue."""
    granted_words = {command for line in LINES[user] if not patterns(line) for command in line.commands.split()}
    (shown,) = [listed for listed in operator.acl_list() if listed.startswith(f"user {user} ")]
    beside_the_lines = set(shown.partition(" (")[0].split())

    assert {word for word in beside_the_lines if word[0] in "+-~%&"} == {
        "-@all",
        *(f"+{word}" for word in granted_words),
    }
    assert [command for command in NEVER if not refuses(operator, user, *command.split())] == []


def test_the_health_check_needs_no_password_and_may_only_ask_whether_redis_answers(any_server):
    with Redis.from_url(any_server.url_of(HEALTH), driver_info=None) as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.get("models")
        with pytest.raises(NoPermissionError):
            client.info()


@pytest.mark.parametrize("user", [API, WORKER, OPERATOR, "default", "nobody"])
def test_nobody_gets_in_without_a_password(any_server, user):
    with Redis.from_url(any_server.url_of(user, password="wrong")) as client, pytest.raises(AuthenticationError):  # noqa: S106
        client.ping()
    with Redis.from_url(any_server.url_of(user, password="")) as client, pytest.raises(AuthenticationError):
        client.ping()
