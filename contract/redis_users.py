"""Redis' users: what each side may do there, and no more. docs/redis.md has the table, and what stays possible.

Every line of the table is a selector of Redis' access lists of its own: its commands work on its keys, and no command
works on the keys of another line. A command that nobody has entered here is refused (NOPERM): what a change needs of
Redis, it enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

API, WORKER, OPERATOR, HEALTH = "api", "worker", "operator", "health"

_SHARED = (
    "models tasks model:* wake:* refused-pictures workers:* bulk-workers:* worker:* labels:* description:* rq:worker:* "
    "rq:workers rq:workers:* rq:queues rq:queue:* rq:wip:* rq:finished:* rq:failed:*"
)  # by all jobs: model/serving/garbage.py


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a user's table, each list as words.

    Attributes:
        commands: in small letters; a subcommand as ``client|list``.
        reads, writes: patterns of the keys whose values they may read, and of those that they may change or delete;
            both empty for commands without keys.
        purpose: what it is for.
    """

    commands: str
    reads: str
    writes: str
    purpose: str

    @property
    def rules(self) -> str:
        """As Redis writes them: a selector, if there are keys."""
        reads, writes = self.reads.split(), self.writes.split()
        words = [f"+{command}" for command in self.commands.split()]
        words += [f"~{pattern}" for pattern in reads if pattern in writes]
        words += [f"%R~{pattern}" for pattern in reads if pattern not in writes]
        words += [f"%W~{pattern}" for pattern in writes if pattern not in reads]
        return f"({' '.join(words)})" if reads or writes else " ".join(words)


# WATCH, MULTI and EXEC make a compare-and-set; UNWATCH is what redis-py ends one with that changes nothing.
_API = (
    Line("ping time info multi exec unwatch", "", "", "readiness, how full Redis is, its version (RQ), transactions"),
    Line("zrevrange", "models", "", "which models are served"),
    Line("hmget", "tasks", "", "what they are for"),
    Line("hgetall watch hset del", "model:*", "model:*", "which version of a model is current, and changing that"),
    Line("hincrby hmget expire del", "tally:*", "tally:*", "how many computations fail while there is a candidate"),
    Line("hmget lrange del", "shadow:* disagreements:*", "shadow:* disagreements:*", "how far a candidate agrees"),
    Line("get set", "check:*", "check:*", "what the check of a candidate has found"),
    Line("set get watch expire del", "checking:*", "checking:*", "that one runs, and no second one of the same model"),
    Line("xadd xrevrange", "changes:*", "changes:*", "what has changed that, when and by whose key"),
    Line("set get watch del", "load:*", "load:*", "asking workers to load another version"),
    Line("blpop", "load-replies:*", "load-replies:*", "what they say"),
    Line("lpush ltrim expire", "", "wake:*", "that an idle worker of several models is to look at its queues"),
    Line("zrangebyscore", "workers:*", "", "who serves it"),
    Line("hgetall", "worker:*", "", "what each worker says of itself"),
    Line("get", "labels:* description:* answer:*", "", "the labels, what a model is; an answer that is known already"),
    Line("get", "last-words", "", "why no worker is ready"),
    Line("get watch set", "inflight:*", "inflight:*", "joining a computation, and beginning one"),
    Line("get watch set incrby decrby pexpire", "wanted:*", "wanted:*", "how many wait for a job"),
    Line("zcount zrangebyscore watch", "holders:*", "", "whether a picture may be deleted, and which jobs need it"),
    Line("zadd zrem expire", "", "holders:*", "that a job needs its picture"),
    Line("set exists", "deleted:*", "deleted:*", "that a job's picture was deleted"),
    Line("zrangebyscore zrem", "refused-pictures", "refused-pictures", "pictures to delete that nobody could read"),
    Line("llen rpush", "rq:queue:*", "rq:queue:*", "queuing a job, and how many wait"),
    Line("sadd", "", "rq:queues", "RQ's list of queues"),
    Line("exists hget", "rq:job:*", "", "whether a job still exists, and how far it is"),
    Line("hset expire", "", "rq:job:*", "RQ's record of a new job; it goes when a job of /v1/jobs was fetched"),
    Line("xread xrevrange watch", "rq:results:*", "", "a job's outcome"),
    Line("expire", "", "rq:results:*", "it goes when a job of /v1/jobs was fetched"),
    Line("hgetall pttl watch", "ticket:*", "", "a job of /v1/jobs"),
    Line("hset expire", "", "ticket:*", "creating, cancelling, fetching one"),
    Line("mget watch", "idempotency:*", "", "the job that a key was sent with before"),
    Line("set expire", "", "idempotency:*", "the job that a key stands for"),
    Line("zremrangebyscore zcard zrange zadd zrem expire", "jobs:*", "jobs:*", "the jobs of a sender that count"),
    Line("zcard zrange zadd zrem expire", "ended-jobs:*", "ended-jobs:*", "those that count no more"),
    Line("zincrby expire zremrangebyrank zrevrange zmscore", "usage:*", "usage:*", "what senders have used"),
    Line(
        "del",
        "",
        "answer:* inflight:* wanted:* holders:* rq:job:* rq:results:* ticket:* idempotency:* jobs:* ended-jobs:*",
        "what there is of deleted pictures, of jobs that are kept no longer or could not be queued, and garbage",
    ),
)
_WORKER = (
    Line("time info multi exec unwatch", "", "", "leases, how full Redis is, transactions"),
    Line("client|setname client|list", "", "", "RQ's record of a worker names its address"),
    Line("zadd zrevrange zrem", "models", "models", "which models are served; the health check"),
    Line("hset hdel", "", "tasks", "what they are for"),
    Line("hgetall hset watch del", "model:*", "model:*", "which version of a model is current"),
    Line("xadd", "", "changes:*", "that a worker which begins has set that"),
    Line("hincrby expire", "shadow:*", "shadow:*", "how often a candidate agrees with what was answered"),
    Line("lpush ltrim expire", "", "disagreements:*", "and where it does not"),
    Line("get watch", "load:*", "", "which version it is to load, and that none is while it gives one up"),
    Line("rpush expire", "", "load-replies:*", "whether it has"),
    Line("blpop", "wake:*", "wake:*", "waiting for work on several queues"),
    Line(
        "zadd zrem zremrangebyscore zcard zcount zrangebyscore",
        "workers:*",
        "workers:*",
        "who serves it; the health check",
    ),
    Line(
        "zadd zrem zremrangebyscore zrange zrangebyscore",
        "bulk-workers:*",
        "bulk-workers:*",
        "who serves costly pictures",
    ),
    Line("hset expire del hgetall", "worker:*", "worker:*", "what this worker says of itself; the health check"),
    Line("getex set", "labels:* description:*", "labels:* description:*", "the labels, and what a model is"),
    Line("set del", "", "last-words", "why a worker could not begin"),
    Line("hset hincrby exists hexists hmget hdel expire del", "rq:worker:*", "rq:worker:*", "RQ's record of a worker"),
    Line("sadd srem", "", "rq:workers rq:workers:*", "RQ's lists of workers"),
    Line("smembers", "rq:workers:*", "", "which of them are no more"),
    Line("llen lmove blmove lpush lrem lrange", "rq:queue:*", "rq:queue:*", "taking jobs, and putting them back"),
    Line("exists", "rq:queue:* rq:wip:*", "", "whether there is anything to take, or anything in hand"),
    Line("hgetall", "rq:job:*", "", "a job"),
    Line("hset expire del", "", "rq:job:*", "its state, tries and end"),
    Line("exists", "wanted:*", "", "whether anybody waits for it"),
    Line("hset expire del", "", "rq:execution:*", "the lease on a job in hand"),
    Line("pttl", "rq:execution:*", "", "whether it holds, by Redis' own clock"),
    Line("zadd zrem expire", "", "rq:executions:*", "RQ's list of a job's leases"),
    Line(
        "zadd zrem zcard zrangebyscore",
        "rq:wip:*",
        "rq:wip:*",
        "RQ's list of running jobs, where lost leases are",
    ),
    Line("zadd zremrangebyscore", "", "rq:finished:* rq:failed:*", "RQ's lists of ended jobs"),
    Line("xadd expire", "", "rq:results:*", "a job's outcome"),
    Line("set", "", "answer:*", "an answer for later requests"),
    Line(
        "watch mget",
        "inflight:* deleted:*",
        "",
        "whether others may join a job that ends; whether its picture is deleted",
    ),
    Line("zrem", "", "holders:*", "that a job needs its picture no more"),
    Line("zadd", "", "refused-pictures", "that nobody can read a picture"),
    Line("zrem", "", "jobs:*", "that a failed job of /v1/jobs counts no more"),
    Line("zadd expire", "", "ended-jobs:*", "when it did"),
    Line("set pexpire", "", "recovery:*", "one worker at a time looks for lost jobs"),
    Line(
        "del",
        "",
        "inflight:* wanted:* rq:job:* rq:results:* rq:executions:*",
        "that others may join a job that has ended; records that are not of our form",
    ),
    Line("type", _SHARED, "", "whether somebody has written something else into a key that all jobs need"),
    Line("rename", _SHARED, f"{_SHARED} garbage:*", "then it is put aside"),
    Line("expire", "", "garbage:*", "for a week"),
)
LINES: Mapping[str, tuple[Line, ...]] = {API: _API, WORKER: _WORKER}
_EVERYTHING = "allkeys allchannels +@all"
_NOTHING = "resetkeys resetchannels -@all"


def users_file(hashes: Mapping[str, str]) -> str:
    """What Redis reads by ``--aclfile``: the users, and no other.

    Args:
        hashes: of the passwords of ``API``, ``WORKER`` and ``OPERATOR``, as ``password_hash`` makes them.
    """
    users = [
        # Off, and without a password, so nobody is let in as it. It may do everything all the same: Redis 7.0 reads its
        # own log as this user, and drops every transaction in it that the user may not do.
        f"user default reset off {_EVERYTHING}",
        f"user {HEALTH} reset on nopass {_NOTHING} +ping",
        f"user {OPERATOR} reset on #{hashes[OPERATOR]} {_EVERYTHING}",
    ]
    for user, lines in LINES.items():
        rules = " ".join(line.rules for line in lines)
        users.append(f"user {user} reset on #{hashes[user]} {_NOTHING} {rules}")
    return "\n".join(users) + "\n"


def password_hash(password: str) -> str:
    return sha256(password.encode()).hexdigest()
