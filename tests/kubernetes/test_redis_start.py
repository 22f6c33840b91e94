"""deploy/redis/start.sh where passwords come from a cluster's Secrets: a real Valkey, started by the image's script."""

from __future__ import annotations

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from contract.redis_users import API, SCALER, WORKER
from tests.support.workers import eventually


def lets_in(socket: str, user: str) -> bool:
    try:
        with Redis(unix_socket_path=socket, username=user, password=f"{user}-secret", driver_info=None) as client:
            return bool(client.ping() if user == SCALER else client.time())
    except AuthenticationError:
        return False


def answers(socket: str) -> bool:
    try:
        return lets_in(socket, API)
    except RedisError:
        return False


def test_passwords_that_are_there_are_taken_as_they_are(secret_redis):
    secret_redis.start(API, WORKER, SCALER)
    eventually(lambda: answers(secret_redis.socket), "Redis lets the API in")

    assert lets_in(secret_redis.socket, WORKER)
    assert lets_in(secret_redis.socket, SCALER)


def test_without_a_password_for_it_there_is_no_user_who_counts(secret_redis):
    secret_redis.start(API, WORKER)
    eventually(lambda: answers(secret_redis.socket), "Redis lets the API in")

    assert lets_in(secret_redis.socket, WORKER)
    assert not lets_in(secret_redis.socket, SCALER)
