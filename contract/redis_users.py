"""Redis' users: what each side may do there, and no more. docs/redis.md has the table, and what stays possible.

Every line of the table is a selector of Redis' access lists of its own: its commands work on its keys, and no command
works on the keys of another line. A command that nobody has entered here is refused (NOPERM): what a change needs of
Redis, it enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

API, WORKER, OPERATOR, HEALTH = "api", "worker", "operator", "health"


class Access(StrEnum):
    """What a line's commands may do to its keys, as Redis writes it before a pattern."""

    READ = "%R~"
    WRITE = "%W~"
    BOTH = "~"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a user's table.

    Attributes:
        commands: in small letters; a subcommand as ``client|list``, a first argument as ``info|memory``.
        keys: patterns of keys; none for commands that name no key.
        purpose: what it is for.
    """

    commands: tuple[str, ...]
    keys: tuple[tuple[Access, str], ...]
    purpose: str

    @property
    def rules(self) -> str:
        words = [f"+{command}" for command in self.commands] + [f"{access}{pattern}" for access, pattern in self.keys]
        return f"({' '.join(words)})" if self.keys else " ".join(words)


def _read(commands: str, keys: str, purpose: str) -> Line:
    return Line(tuple(commands.split()), tuple((Access.READ, key) for key in keys.split()), purpose)


def _write(commands: str, keys: str, purpose: str) -> Line:
    return Line(tuple(commands.split()), tuple((Access.WRITE, key) for key in keys.split()), purpose)


def _both(commands: str, keys: str, purpose: str) -> Line:
    return Line(tuple(commands.split()), tuple((Access.BOTH, key) for key in keys.split()), purpose)


API_LINES: tuple[Line, ...] = (
    _both("get set del incr decr expire pexpire pttl exists watch llen rpush sadd hset hget hgetall zadd zrem zcount zcard zrange zrevrange zrangebyscore zremrangebyscore xread xrevrange type mget", "*", "all"),
    Line(tuple("ping multi exec unwatch time info".split()), (), "all"),
)
WORKER_LINES: tuple[Line, ...] = (
    _both("llen lmove blmove lpush lrem lrange get getex set mget del exists type rename expire pexpire persist watch hset hgetall hmget hget hdel hexists hincrby hincrbyfloat sadd srem smembers zadd zrem zcard zrange zrevrange zrangebyscore zremrangebyscore xadd", "*", "all"),
    Line(tuple("ping multi exec unwatch time info client|setname client|list".split()), (), "all"),
)
LINES: Mapping[str, tuple[Line, ...]] = {API: API_LINES, WORKER: WORKER_LINES}
_EVERYTHING = "allkeys allchannels +@all"
_NOTHING = "resetkeys resetchannels -@all"


def users_file(hashes: Mapping[str, str]) -> str:
    """What Redis reads by ``--aclfile``: the users, and no other.

    Args:
        hashes: of the passwords of ``API``, ``WORKER`` and ``OPERATOR``, as ``password_hash`` makes them.
    """
    users = [
        f"user default reset off {_NOTHING}",
        f"user {HEALTH} reset on nopass {_NOTHING} +ping",
        f"user {OPERATOR} reset on #{hashes[OPERATOR]} {_EVERYTHING}",
    ]
    for user, lines in LINES.items():
        rules = " ".join(line.rules for line in sorted(lines, key=lambda line: bool(line.keys)))
        users.append(f"user {user} reset on #{hashes[user]} {_NOTHING} {rules}")
    return "\n".join(users) + "\n"


def password_hash(password: str) -> str:
    return sha256(password.encode()).hexdigest()
