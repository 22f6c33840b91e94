"""The compose file as text; no engine is needed."""

from __future__ import annotations

import re

import pytest

from api.settings import Settings as ApiSettings
from model.settings import Settings as ModelSettings
from tests.containers.compose import ROOT

# Fixed inside: the service's name, the password's place, the ends of the published port, the places of the volumes (its
# workers reach no object store); the proxy has the TLS.
FIXED = {
    "REDIS_URL",
    "REDIS_PASSWORD",
    "REDIS_PASSWORD_FILE",
    "HOST",
    "PORT",
    "IMAGE_STORE",
    "IMAGE_STORE_ENDPOINT",
    "IMAGE_STORE_CA_FILE",
    "IMAGE_STORE_TIMEOUT_S",
    "COPIES_DIR",
    "FEEDBACK_DIR",
    "PATTERN_DIR",
    "CHECK_DIR",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
}
OLDER_NAMES = {"TICKET_TTL_S"}  # of JOB_TTL_S


def environment_of(file: str, service: str) -> set[str]:
    """The settings that a service's containers are given, without those that are fixed."""
    text = (ROOT / file).read_text().partition(f"\n  {service}:\n")[2]
    section = re.split(r"\n(?=  \w+:\n|\S)", text, maxsplit=1)[0]
    return set(re.findall(r"^      - ([A-Z_]+)(?:=\$\{\1:-\w+\})?(?:  #.*)?$", section, re.MULTILINE))


@pytest.mark.parametrize(("service", "settings"), [("api", ApiSettings), ("model", ModelSettings)])
def test_each_container_is_given_the_settings_that_it_reads_and_no_others(service, settings):
    """A setting that the compose file forgets would silently keep its default."""
    passed = environment_of("docker-compose.yml", service)

    wanted = {name.upper() for name in settings.model_fields} - FIXED
    assert passed - OLDER_NAMES == wanted


def test_a_second_service_of_workers_differs_in_its_models_only():
    others = environment_of("deploy/compose.models.yml", "other-models")

    assert environment_of("docker-compose.yml", "model") - others == {"MODELS", "MODEL_PATH"}
