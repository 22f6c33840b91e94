"""What the pods are told: settings that exist, with values that the service starts with, and no secret in sight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from api.settings import Settings as ApiSettings
from contract.redis_users import API, SCALER, WORKER
from contract.settings import known_variables
from model.settings import Settings as WorkerSettings
from tests.kubernetes.manifests import BASE, EVERY, KUBERNETES, configuration, containers, environment, of_kind, pods

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

SIDES: list[tuple[str, type[BaseSettings]]] = [(API, ApiSettings), (WORKER, WorkerSettings)]
IN_FILES = {"REDIS_PASSWORD_FILE", "API_KEYS_FILE"}  # which are in the pods alone
SECRETS = {
    name.upper() for _, kind in SIDES for name, field in kind.model_fields.items() if field.annotation is SecretStr
} | {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize(("side", "kind"), SIDES)
@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_each_variable_is_a_setting_of_its_side(folder, side, kind):
    """Nobody would notice that one with a slip in its name has no effect."""
    assert set(environment(folder, side)) <= known_variables(kind)


@pytest.mark.parametrize(("side", "kind"), SIDES)
@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_each_side_starts_with_its_values(folder, side, kind, monkeypatch):
    given = environment(folder, side) | ({"HOST": "0.0.0.0"} if side == API else {})  # noqa: S104  as the image says
    for name, value in given.items():
        if name not in IN_FILES:
            monkeypatch.setenv(name, value)
    if given.get("API_KEYS_FILE"):  # what it holds is read later
        monkeypatch.setenv("API_KEYS_FILE", given["API_KEYS_FILE"])

    kind()


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_each_side_comes_to_redis_as_itself(folder):
    addresses = {side: urlsplit(environment(folder, side)["REDIS_URL"]) for side, _ in SIDES}
    redis = configuration(folder, "redis")
    host, _, port = redis["address"].partition(":")

    assert {side: address.username for side, address in addresses.items()} == {API: API, WORKER: WORKER}
    assert redis["scaler"] == SCALER
    assert {address.scheme for address in addresses.values()} == {"rediss" if redis["tls"] == "enable" else "redis"}
    assert {(host.removesuffix(".image-classifier.svc"), int(port))} == {
        (address.hostname, address.port) for address in addresses.values()
    }
    assert not any(address.password for address in addresses.values())


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_no_secret_is_in_a_config_map_or_a_manifest(folder):
    """Secrets are made by hand, outside of these files: docs/kubernetes.md."""
    held = [set(one["data"]) for one in of_kind(folder, "ConfigMap").values()]
    written = [
        one["name"]
        for pod in pods(folder).values()
        for container in containers(pod)
        for one in container.get("env", [])
        if "value" in one
    ]

    assert not of_kind(folder, "Secret")
    assert not SECRETS & set().union(*held, written)


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_each_pod_has_its_own_password_of_redis_and_no_other(folder):
    """A worker decodes strangers' pictures; what it holds is what somebody gets who takes it over."""
    mounted = {
        name: {
            item["key"]
            for volume in pod["spec"]["volumes"]
            if volume.get("secret", {}).get("secretName") == "redis-passwords"
            for item in volume["secret"]["items"]
        }
        for name, pod in pods(folder).items()
    }

    assert mounted.pop("api") == {API}
    assert mounted.pop("worker") == {WORKER}
    assert mounted.pop("redis", {API, WORKER}) - {SCALER} == {API, WORKER}
    assert not any(mounted.values())


@pytest.mark.parametrize("folder", EVERY, ids=lambda folder: folder.name)
def test_files_of_secrets_are_for_the_pods_group_alone(folder):
    """A file of keys that others can read is refused (docs/keys.md)."""
    secrets = [
        volume["secret"] for pod in pods(folder).values() for volume in pod["spec"]["volumes"] if "secret" in volume
    ]

    assert {secret["defaultMode"] for secret in secrets} == {0o440}


def test_the_names_that_clients_call_are_those_of_the_ingress():
    (ingress,) = of_kind(BASE, "Ingress").values()
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}

    assert set(environment(BASE, API)["ALLOWED_HOSTS"].split(",")) == hosts
    assert {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]} == hosts


def test_the_ingress_lets_the_services_own_refusals_through():
    (ingress,) = of_kind(BASE, "Ingress").values()
    nginx = {name.partition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    longest = next(one.le for one in ApiSettings.model_fields["request_timeout_s"].metadata if hasattr(one, "le"))

    assert int(nginx["proxy-body-size"].removesuffix("m")) > ApiSettings.model_fields["max_upload_mb"].default
    assert int(nginx["proxy-read-timeout"]) > longest


def test_claims_have_room_for_what_the_settings_let_in():
    limits = {name: field.default for name, field in ApiSettings.model_fields.items()}
    folder = KUBERNETES / "overlays" / "shared-folder"
    room = {
        name: int(one["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) * 2**30 / 1e6
        for name, one in of_kind(folder, "PersistentVolumeClaim").items()
    }
    kept = ("feedback_mb", "feedback_pictures_mb", "inspections_mb", "inspection_pictures_mb", "disk_reserve_mb")

    assert room["uploads"] > limits["uploads_mb"] + limits["disk_reserve_mb"]
    assert room["feedback"] > sum(limits[name] for name in kept)


def test_pictures_are_in_the_store_or_in_a_folder_that_both_sides_mount():
    for folder in EVERY:
        where = {environment(folder, side)["IMAGE_STORE"] for side, _ in SIDES}
        assert len(where) == 1
        (store,) = where
        if store.startswith("s3://"):
            continue
        for side, _ in SIDES:
            mounts = {one["mountPath"] for one in pods(folder)[side]["spec"]["containers"][0]["volumeMounts"]}
            assert {store, str(Path(store).with_name("copies"))} <= mounts
