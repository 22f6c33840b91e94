from __future__ import annotations

import os
import re

import pytest

from api.core import labelled_folder
from api.core.errors import InvalidUpload, ModelNotChanged, TooLarge
from api.core.labelled_folder import folder_for, labelled_files, read_picture
from tests.pictures import odd

LABELS = ("tench", "tiger cat", "lynx")


def fill(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"-")


def hundred(prefix=""):
    return [f"{prefix}{number:03}.jpg" for number in range(100)]


def found(folder):
    return [(str(file.path.relative_to(folder)), file.label) for file in labelled_files(folder, LABELS)]


def test_each_label_may_have_a_folder(tmp_path):
    """As torchvision's ImageFolder and our own download of reports have it."""
    fill(tmp_path / "tiger_cat", hundred())
    fill(tmp_path / "lynx", ["b.png", "a.png", ".DS_Store"])
    fill(tmp_path / ".cache", ["x.jpg"])
    fill(tmp_path, ["README.md"])

    assert found(tmp_path)[:3] == [("lynx/a.png", "lynx"), ("lynx/b.png", "lynx"), ("tiger_cat/000.jpg", "tiger_cat")]
    assert len(found(tmp_path)) == 102


def test_a_label_is_a_text_whatever_its_folder_is_called(tmp_path):
    """It is shown and recorded. A name of another encoding is no label, and is told as well."""
    fill(tmp_path / os.fsdecode(b"caf\xe9"), hundred())

    assert {file.label for file in labelled_files(tmp_path, LABELS)} == {"caf\N{REPLACEMENT CHARACTER}"}


def test_or_a_table_names_each_pictures_label(tmp_path):
    rows = "".join(f"{name},tiger cat\r\n" for name in hundred("photos/"))
    (tmp_path / "labels.csv").write_text(f"\ufefffile,label\r\n{rows}", encoding="utf-8")

    assert found(tmp_path)[0] == ("photos/000.jpg", "tiger cat")


def test_or_its_class(tmp_path):
    rows = "".join(f"{name},{number % 3},by hand\n" for number, name in enumerate(hundred()))
    (tmp_path / "labels.csv").write_text(f"file,class_index,note\n{rows}")

    assert found(tmp_path)[:3] == [("000.jpg", "tench"), ("001.jpg", "tiger cat"), ("002.jpg", "lynx")]


def test_of_several_models_each_may_have_its_own(tmp_path):
    (tmp_path / "pets").mkdir()

    assert folder_for(tmp_path, "pets") == tmp_path / "pets"
    assert folder_for(tmp_path, "cars") == tmp_path


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("file,label\n", "at least 100 labelled pictures, and CHECK_DIR has 0"),
        ("name,label\n", "labels.csv needs the columns file and label, or file and class_index"),
        ("", "labels.csv needs the columns file and label, or file and class_index"),
        ("file,label\na.jpg,\n", "labels.csv, line 2: there is no such class"),
        ("file,label\na.jpg\n", "labels.csv, line 2: there is no such class"),
        ("file,class_index\na.jpg,3\n", "labels.csv, line 2: there is no such class"),
        ("file,class_index\na.jpg,-1\n", "labels.csv, line 2: there is no such class"),
        ("file,class_index\na.jpg," + "9" * 5_000, "labels.csv, line 2: there is no such class"),
        ("file,class_index\na.jpg,²\n", "labels.csv, line 2: there is no such class"),
        ("file,label\na.jpg,lynx\n../a.jpg,lynx\n", "labels.csv, line 3: this is no file of its folder"),
        ("file,label\n/etc/hostname,lynx\n", "labels.csv, line 2: this is no file of its folder"),
        ("file,label\n,lynx\n", "labels.csv, line 2: this is no file of its folder"),
        ("file,label\n" + "a" * 200_000 + ",lynx\n", "labels.csv is no table in UTF-8"),
        (b"file,label\n\xff,lynx\n", "labels.csv is no table in UTF-8"),
    ],
)
def test_a_table_that_says_nothing_is_refused_with_its_line(tmp_path, table, told):
    (tmp_path / "labels.csv").write_bytes(table if isinstance(table, bytes) else table.encode())

    with pytest.raises(ModelNotChanged, match=re.escape(told)):
        labelled_files(tmp_path, LABELS)


def test_ninety_nine_pictures_are_too_few(tmp_path):
    fill(tmp_path / "lynx", hundred()[1:])

    with pytest.raises(ModelNotChanged, match=r"at least 100 labelled pictures, and CHECK_DIR has 99: in a folder for"):
        labelled_files(tmp_path, LABELS)


def test_and_some_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(labelled_folder, "MOST_PICTURES", 100)
    fill(tmp_path / "lynx", [*hundred(), "more.jpg"])

    with pytest.raises(ModelNotChanged, match="CHECK_DIR has 101 labelled pictures, and at most 100 are replayed"):
        labelled_files(tmp_path, LABELS)


def test_a_folder_that_is_not_there_is_said_without_its_place(tmp_path):
    with pytest.raises(ModelNotChanged, match=r"^the labelled pictures can't be read: No such file or directory$"):
        labelled_files(tmp_path / "gone", LABELS)


def test_what_a_table_calls_a_file_and_is_none_is_not_waited_for(tmp_path):
    """A pipe may have no end, and a device neither."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")

    for name in ("pipe.jpg", "zero.jpg", "a\0b.jpg"):
        with pytest.raises(InvalidUpload):
            read_picture(tmp_path / name, most_bytes=10**6, max_pixels=10**6)


def test_a_file_has_to_pass_what_uploads_have_to_pass(tmp_path):
    picture = tmp_path / "picture"
    picture.write_bytes(odd.png())
    whole = read_picture(picture, most_bytes=10**6, max_pixels=10**6)

    assert whole == odd.png()
    for limits in ({"most_bytes": 10, "max_pixels": 10**6}, {"most_bytes": 10**6, "max_pixels": 10}):
        with pytest.raises(TooLarge):
            read_picture(picture, **limits)
    for content in (b"", b"a text", odd.png()[:20]):
        picture.write_bytes(content)
        with pytest.raises(InvalidUpload):
            read_picture(picture, most_bytes=10**6, max_pixels=10**6)
