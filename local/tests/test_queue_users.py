"""The users of the Valkey of ``make run``."""

from __future__ import annotations

import stat

from contract.redis_users import API, WORKER
from local.parts import plan
from local.queue_users import QueueUsers, operator_password
from local.settings import Settings


def test_every_part_has_a_user_of_its_own_whatever_the_environment_says_of_another_redis(tmp_path):
    """A person's .env may be for Compose."""
    settings = Settings(data_dir=tmp_path, model_path=tmp_path, workers=1)
    settings.queue_dir.mkdir()
    users = QueueUsers.make(settings)
    valkey, worker, api = plan(settings, tmp_path / "s", 7, users, {"REDIS_PASSWORD_FILE": "/run/redis/password"})

    assert valkey.environment == {}
    assert worker.environment["REDIS_URL"] == f"unix://worker:{users.passwords[WORKER]}@{tmp_path}/s"
    assert api.environment["REDIS_URL"] == f"unix://api:{users.passwords[API]}@{tmp_path}/s"
    for part in (worker, api):
        assert (part.environment["REDIS_PASSWORD"], part.environment["REDIS_PASSWORD_FILE"]) == ("", "")


def test_passwords_are_new_at_every_start_and_nobody_else_reads_them(tmp_path):
    settings = Settings(data_dir=tmp_path, model_path=tmp_path)
    settings.queue_dir.mkdir()
    made = [QueueUsers.make(settings) for _ in range(2)]
    kept = operator_password(settings.queue_dir)

    assert len({password for users in made for password in users.passwords.values()}) == 6
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made[1].file, kept)] == [0o600, 0o600]
    assert not [password for password in made[1].passwords.values() if password in made[1].file.read_text()]
