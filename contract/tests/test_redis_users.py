"""What Redis lets each user do, line by line of the table: asked by ACL DRYRUN of the servers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from contract import picture_holders
from contract.errors import BackendDown
from contract.job_queue import JobQueue
from contract.redis_clients import connect
from contract.redis_clock import RedisClock
from contract.redis_users import API, HEALTH, LINES, OPERATOR, WORKER, Line
from contract.sender_jobs import SenderJobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import Server

NEVER_ON_A_KEY = ("getdel", "dump", "restore", "append", "setrange", "sort", "unlink")
BEFORE_A_PASSWORD = {"auth", "hello", "quit", "reset"}  # what any client may send
ALL_LINES = [(user, line) for user, lines in LINES.items() for line in lines]
EVERY_LINE = [pytest.param(user, line, id=f"{user}: {line.purpose}") for user, line in ALL_LINES]
ON_KEYS = {command for _, line in ALL_LINES if line.reads or line.writes for command in line.commands.split()}


class Asked:
    """Asks a server what it would let a user do."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.commands: list[str] = redis.execute_command("COMMAND LIST")
        infos: Any = redis.execute_command("COMMAND INFO", *self.commands)
        self._words = {command: abs(words) for command, words, *_ in infos}

    def refuses(self, user: str, command: str, key: str = "a-key-of-nobody") -> bool:
        verdict: Any = self._redis.execute_command("ACL DRYRUN", user, *self._spelt_out(command, key))
        assert verdict == "OK" or "has no permissions to" in verdict, verdict
        return bool(verdict != "OK")

    def _spelt_out(self, command: str, key: str) -> tuple[str, ...]:
        """A command on a key, with as many words as it needs."""
        match command:
            case "xread":
                return ("xread", "streams", key, "0")
            case "lmove" | "blmove":
                return (command, key, f"{key}:intermediate", "left", "right", *(["1"] if command == "blmove" else []))
            case "rename":
                return ("rename", key, f"garbage:{key}")
        words = command.split("|")
        return tuple([*words, key, *["1"] * 10][: max(len(words), self._words.get(command, 0))])


@pytest.fixture(scope="module")
def asked(any_server: Server) -> Iterator[Asked]:
    with Redis.from_url(any_server.operator_url, decode_responses=True) as client:
        yield Asked(client)


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
def test_a_line_grants_its_commands_on_its_keys(asked, user, line):
    for command in line.commands.split():
        for pattern in patterns(line) or [""]:
            assert not asked.refuses(user, command, sample(pattern))


@pytest.mark.parametrize(("user", "line"), EVERY_LINE)
def test_a_line_grants_nothing_beyond_itself(asked, user, line):
    """Neither its commands on a key of nobody's, nor on its keys the commands that only others need."""
    for command in line.commands.split() if patterns(line) else ():
        assert asked.refuses(user, command)
    for pattern in {*line.reads.split(), *line.writes.split()}:
        for command in {*ON_KEYS, *NEVER_ON_A_KEY} - granted(user, pattern):
            assert asked.refuses(user, command, sample(pattern)), (command, pattern)


@pytest.mark.parametrize("user", LINES)
def test_of_all_that_redis_can_do_a_user_may_do_what_the_lines_say(asked, user):
    """Whoever takes a side over must not list all keys, nor stop, copy or reconfigure the queue."""
    without_keys = {command for line in LINES[user] if not patterns(line) for command in line.commands.split()}
    families = {command.partition("|")[0] for command in asked.commands if "|" in command}
    allowed = {command for command in asked.commands if command not in families and not asked.refuses(user, command)}

    assert len(asked.commands) > 300
    assert allowed == {*without_keys, *BEFORE_A_PASSWORD}


@pytest.mark.parametrize("user", LINES)
def test_what_a_user_has_written_is_there_after_a_restart(any_server, user):
    """Redis 7.0 reads its log as the default user: what that one may not do is lost, by whole transactions."""
    names = {API: ("wanted:kept", "inflight:kept"), WORKER: ("answer:kept", "labels:kept")}[user]
    with connect(any_server.url_of(user)) as client, client.pipeline() as pipe:
        for name in names:
            pipe.set(name, user)
        pipe.execute()
    any_server.stop()
    any_server.start()

    with Redis.from_url(any_server.operator_url) as client:
        assert client.mget(names) == [user.encode()] * 2


def test_what_a_side_may_not_see_it_does_not_take_for_garbage(any_server):
    """As with the rules of an older version: pictures that jobs need, and senders' jobs, would be deleted."""
    with Redis.from_url(any_server.operator_url) as client:
        client.acl_setuser("older", enabled=True, nopass=True, keys=["*"], commands=["+del", "+time"])
        client.set("inflight:m:c", "job")
    with connect(any_server.url_of("older")) as older:
        with pytest.raises(BackendDown):
            picture_holders.held(older, ["picture"])
        with pytest.raises(BackendDown):
            SenderJobs(older, RedisClock(older), most=1, most_bytes=1, ttl_s=60).check("192.0.2.1", 1)
        with pytest.raises(BackendDown):
            JobQueue(older, older).look("m", "d", "c")

    with Redis.from_url(any_server.operator_url) as client:
        assert client.get("inflight:m:c") == b"job"
        client.acl_deluser("older")


def test_the_health_check_needs_no_password_and_may_only_ask_whether_redis_answers(any_server):
    with Redis.from_url(any_server.url_of(HEALTH), driver_info=None) as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.get("models")
        with pytest.raises(NoPermissionError):
            client.info()


@pytest.mark.parametrize("user", [API, WORKER, OPERATOR, "default", "nobody"])
def test_nobody_gets_in_without_a_password(any_server, user):
    for password in ("wrong", ""):
        with Redis.from_url(any_server.url_of(user, password)) as client, pytest.raises(AuthenticationError):
            client.ping()
