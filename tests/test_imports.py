"""What happens when modules are imported: nothing that depends on the environment."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import api
import contract
import local
import model

ROOT = Path(__file__).parents[1]
STARTED_BY_IMPORT = {"api.wsgi", "api.gunicorn_conf"}  # by gunicorn
WRONG = {"REDIS_URL": "redis-cluster", "MAX_PIXELS": "many", "LOG_LEVEL": "loud", "BATCH_MAX": "0", "WORKERS": "none"}


def in_a_process(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_no_module_reads_a_setting_or_ends_the_process_when_it_is_imported():
    """A program reads its settings when it starts, and only those that it needs."""
    modules = [
        module.name
        for room in (api, contract, local, model)
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}.")
    ]
    names = [name for name in modules if ".tests" not in name and name not in STARTED_BY_IMPORT]
    run = in_a_process("".join(f"import {name}\n" for name in names), **WRONG)

    assert len(names) > 100
    assert (run.returncode, run.stderr) == (0, "")


def test_gunicorns_main_process_holds_no_code_that_a_reload_is_to_replace():
    """New processes are forked from it, and would go on with its modules beside those that have changed."""
    program = (
        "import sys, api.gunicorn_conf; print(*sorted(n for n in sys.modules if n.startswith(('api', 'contract'))))"
    )
    run = in_a_process(program)

    assert run.stdout.split() == [
        *(
            "api",
            "api.core",
            "api.core.camera",
            "api.core.camera.address",
            "api.core.camera.credentials",
            "api.core.host_names",
            "api.core.link_secret",
            "api.core.root_path",
            "api.core.web_origins",
            "api.gunicorn_conf",
            "api.keys",
            "api.keys.key",
            "api.keys.key_file",
            "api.keys.keyring",
        ),
        *("api.keys.limits", "api.metrics", "api.metrics.shared_numbers", "api.settings"),
        *(
            "contract",
            "contract.bucket_address",
            "contract.limits",
            "contract.logging",
            "contract.model_name",
            "contract.private_files",
            "contract.redis_address",
            "contract.settings",
            "contract.wording",
        ),
    ]
