from __future__ import annotations

from pathlib import Path

import pytest

from contract.bucket_address import BucketAddress
from contract.image_store.opening import open_to_read
from contract.settings import SharedSettings, load_settings


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("s3://pictures", ("s3", "pictures", "")),
        ("s3://pictures/", ("s3", "pictures", "")),
        ("gs://my.bucket_1/site/one", ("gs", "my.bucket_1", "site/one")),
        ("az://container/site-1/", ("az", "container", "site-1")),
    ],
)
def test_a_bucket_is_named_by_its_cloud_its_name_and_a_prefix(place, address):
    assert BucketAddress.parse(place) == BucketAddress(*address)


@pytest.mark.parametrize("place", ["data/uploads", "/mnt/pictures", "./s3", "./uploads:old", "s3"])
def test_everything_else_is_a_folder(place):
    assert BucketAddress.parse(place) is None


@pytest.mark.parametrize(
    "place",
    [
        "s3://", "s3:///x", "s3:/pictures", "s3:pictures", "S3://pictures", "s4://pictures/x", "https://bucket.example",
        "s3://Pictures", "s3://pic tures", "s3://pictures/a//b", "s3://pictures/../x", "s3://pictures/./x",
        "s3://pictures?region=x", "s3://pictures/x#y", "s3://key:secret@pictures/x", "file:///srv/pictures", "gs://b",
    ],
)  # fmt: skip
def test_what_can_be_neither_is_refused_and_no_folder_is_made_of_it(place, monkeypatch, capsys):
    """``s3:/pictures`` is a fine name for a folder, and nobody means it."""
    monkeypatch.setenv("IMAGE_STORE", place)
    with pytest.raises(SystemExit):
        load_settings(SharedSettings)

    told = capsys.readouterr().err
    assert told.startswith("IMAGE_STORE=")
    assert "must be a folder, or s3://" in told
    assert "secret" not in told


def test_its_older_name_counts_where_the_newer_is_not_set(monkeypatch, tmp_path):
    monkeypatch.setenv("UPLOAD_DIR", str(tmp_path))
    assert SharedSettings().picture_folder == tmp_path

    monkeypatch.setenv("IMAGE_STORE", "s3://pictures/here")
    assert SharedSettings().bucket_address == BucketAddress("s3", "pictures", "here")
    assert SharedSettings().picture_folder is None


@pytest.mark.parametrize("endpoint", ["minio:9000", "ftp://minio", "https://user:secret@minio", "https://minio?x"])
def test_an_endpoint_is_an_address_without_credentials(endpoint, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_STORE_ENDPOINT", endpoint)
    with pytest.raises(SystemExit):
        load_settings(SharedSettings)

    assert "must be http:// or https://" in (told := capsys.readouterr().err)
    assert "secret" not in told


def test_a_service_with_a_folder_loads_nothing_of_object_stores(tmp_path):
    """Twenty megabytes in each process."""
    pictures, _ = open_to_read(SharedSettings(image_store=str(tmp_path)))

    assert type(pictures).__module__ == "contract.image_store.folder"
    assert Path(SharedSettings().image_store) == Path("data/uploads")
