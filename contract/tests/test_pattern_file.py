"""Pattern files are an operator's: what is wrong with one is said with its line, and nothing in it can do harm."""

from __future__ import annotations

import os

import pytest
import yaml

from contract.patterns.fields import MOST_OBJECTS, MOST_PATTERNS, pattern_set
from contract.patterns.pattern import (
    BadPattern,
    ExpectedObject,
    Pattern,
    PatternSet,
    RelativeBox,
    check_classes,
)
from contract.patterns.pattern_file import (
    MOST_BYTES,
    MOST_BYTES_OF_A_FOLDER,
    MOST_FILES,
    parse_patterns,
    read_pattern_file,
    read_pattern_folder,
)

OBJECT = "{label: bolt, inner: [0.3, 0.3, 0.4, 0.4], outer: [0.2, 0.2, 0.5, 0.5]}"
INNER, OUTER = RelativeBox(0.3, 0.3, 0.4, 0.4), RelativeBox(0.2, 0.2, 0.5, 0.5)
TWO_HANDS = f"""# two hands
left-hand:
  - {OBJECT}
  - class_id: 2
    inner: [0, 0, 1, 1]
    outer: [0, 0, 1, 1.0]
right-hand: [{OBJECT}]
"""


@pytest.fixture(params=["libyaml", "Python"])
def _loader(request, monkeypatch) -> None:
    """PyYAML reads with libyaml where it was built with it, otherwise by itself."""
    if request.param == "Python":
        monkeypatch.setattr("contract.patterns.bounded_yaml._LOADER", yaml.SafeLoader)


pytestmark = pytest.mark.usefixtures("_loader")


def faults_of(text: str) -> list[str]:
    with pytest.raises(BadPattern) as raised:
        parse_patterns("flange", text, "flange.yaml")
    return str(raised.value).splitlines()


def test_a_file_is_a_set_of_patterns_named_as_the_file_is(tmp_path):
    (tmp_path / "flange.yaml").write_text(TWO_HANDS)
    bolt = ExpectedObject(INNER, OUTER, label="bolt")

    assert read_pattern_file(tmp_path / "flange.yaml") == PatternSet(
        "flange",
        (
            Pattern("left-hand", (bolt, ExpectedObject(RelativeBox(0, 0, 1, 1), RelativeBox(0, 0, 1, 1), class_id=2))),
            Pattern("right-hand", (bolt,)),
        ),
    )


@pytest.mark.parametrize("prepared", ["\ufeff{}", "{}\n...\n", "---\n{}", "%YAML 1.1\n---\n{}"])
def test_what_editors_and_templates_add_changes_nothing(prepared):
    plain = parse_patterns("flange", TWO_HANDS, "flange.yaml")

    assert parse_patterns("flange", prepared.format(TWO_HANDS), "flange.yaml") == plain
    assert parse_patterns("flange", TWO_HANDS.replace("\n", "\r\n"), "flange.yaml") == plain


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("class_id: 0, label: bolt, ", "line 2: left, object 1: it must have either class_id or label"),
        ("", "line 2: left, object 1: it must have either class_id or label"),
        ("class_id: true, ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("class_id: -1, ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("class_id: 1.0, ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("class_id: 100000, ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("class_id: '1', ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("class_id: null, ", "line 2: left, object 1, class_id: must be a whole number from 0 to 99999"),
        ("label: 1, ", "line 2: left, object 1, label: must be text of 1 to 100 printable characters"),
        ("label: no, ", "line 2: left, object 1, label: must be text of 1 to 100 printable characters"),
        ("label: ' ', ", "line 2: left, object 1, label: must be text of 1 to 100 printable characters"),
        ('label: "a\\nb", ', "line 2: left, object 1, label: must be text of 1 to 100 printable characters"),
        ("label: " + "x" * 101 + ", ", "line 2: left, object 1, label: must be text of 1 to 100 printable characters"),
        ("label: a, clas_id: 1, ", "line 2: left, object 1, clas_id: nobody knows this field; class_id may be meant"),
        ("label: bolt, colour: red, ", "line 2: left, object 1, colour: nobody knows this field"),
    ],
)
def test_a_class_is_named_once_and_rightly(wrong, told):
    text = f"left:\n  - {{{wrong}inner: [0.3, 0.3, 0.4, 0.4], outer: [0.2, 0.2, 0.5, 0.5]}}\n"

    assert faults_of(text) == [f"flange.yaml, {told}"]


FOUR = "must be left, top, right and bottom, relative to the picture: four numbers from 0 to 1"


@pytest.mark.parametrize(
    ("inner", "outer", "told"),
    [
        ("[0.3, 0.3, 0.4]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("[0.3, 0.3, 0.4, 0.4, 0.4]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("0.3 0.3 0.4 0.4", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("[0.3, 0.3, 0.4, 40]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("[0.3, 0.3, 0.4, true]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("[0.3, 0.3, 0.4, .nan]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),
        ("[0.3, 0.3, 0.4, 4e-1]", "[0, 0, 1, 1]", f"line 4: left, object 1, inner: {FOUR}"),  # text, says YAML 1.1
        ("[0.3, 0.3, 0.4, 0.4]", "[0, 0, 1, .inf]", f"line 5: left, object 1, outer: {FOUR}"),
        ("[0.3, 0.3, 0.4, 0.4]", "[-0.1, 0, 1, 1]", f"line 5: left, object 1, outer: {FOUR}"),
        ("[0.3, 0.3, 0.4, 0.4]", "[0, 0, 1, 1" + "0" * 400 + "]", f"line 5: left, object 1, outer: {FOUR}"),
        (
            "[0.3, 0.3, 0.4, 0.4]", "[0.5, 0.2, 0.2, 0.5]",
            "line 5: left, object 1, outer: its left edge must be left of its right one, and its top above its bottom",
        ),
        (
            "[0.1, 0.3, 0.4, 0.4]", "[0.2, 0.2, 0.5, 0.5]",
            "line 4: left, object 1, inner: its left edge 0.1 is not within outer's 0.2 to 0.5",
        ),
        (
            "[0.3, 0.3, 0.4, 0.6]", "[0.2, 0.2, 0.5, 0.5]",
            "line 4: left, object 1, inner: its bottom edge 0.6 is not within outer's 0.2 to 0.5",
        ),
    ],
)  # fmt: skip
def test_boxes_are_relative_to_the_picture_and_one_is_within_the_other(inner, outer, told):
    text = f"left:\n  # a bolt\n  - label: bolt\n    inner: {inner}\n    outer: {outer}\n"

    assert faults_of(text) == [f"flange.yaml, {told}"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ", line 1: it is empty"),
        ("# nothing yet\n", ", line 1: it is empty"),
        ("{}", ", line 1: it must name patterns, each with a list of objects"),
        ("- left", ", line 1: it must name patterns, each with a list of objects"),
        ("~", ", line 1: it must name patterns, each with a list of objects"),
        ("\nleft: []", ", line 2: left: it must be a list of at least one object"),
        ("left: {a: 1}", ", line 1: left: it must be a list of at least one object"),
        ("left: [bolt]", ", line 1: left, object 1: it must be a mapping with class_id or label, inner and outer"),
        ("left: [{label: a}]", ", line 1: left, object 1: inner is missing"),
        (f"' ': [{OBJECT}]", ", line 1:  : a pattern's name is 1 to 100 printable characters"),
        (f'"a\\tb": [{OBJECT}]', ", line 1: 'a\\tb': a pattern's name is 1 to 100 printable characters"),
        (f"1: [{OBJECT}]", ", line 1: a name must be text: what YAML takes for something else belongs in quotes"),
        (f"left:\n- {OBJECT}\nno: 1", ", line 3: a name must be text: what YAML takes for something else"),
        ("? [a]\n: 1", ", line 1: a name must be text: what YAML takes for something else belongs in quotes"),
        (f"left: [{OBJECT}]\n\nleft: [{OBJECT}]", ", line 3: 'left' is there already, in line 1"),
        ("left:\n- label: a\n  label: b", ", line 3: 'label' is there already, in line 2"),
        (f"left: [{OBJECT}]\n---\nright: [{OBJECT}]", ", line 2: a second document begins here"),
        ("\nleft: ]\nright: [", ", line 2: it is no YAML: "),
        ("left:\n\t- a", ", line 2: it is no YAML: "),
        ("left: 'a", ", line 1: it is no YAML: "),
        ("left: [\n\n\n", ", line 4: it is no YAML: "),
        ("ok: 1\nleft: \x00", ", line 2: it has a character that no text has, '\\x00'"),
        ("left: 2001-99-99", ", line 1: '2001-99-99' is neither a number nor anything else; in quotes it is text"),
        ("left: " + "9" * 5000, f", line 1: '{'9' * 99} is neither a number nor anything else; in quotes it is text"),
        ("<<: {left: 1}", ", line 1: '<<' is neither a number nor anything else; in quotes it is text"),
        ("left: [" * 9, ", line 1: there are more than 8 lists and mappings in one another"),
        ("[" * 100_000, ", line 1: there are more than 8 lists and mappings in one another"),
    ],
)
def test_what_is_no_set_of_patterns_is_told_by_its_line(text, told):
    first, *_ = faults_of(text)

    assert first.startswith(f"flange.yaml{told}")


@pytest.mark.parametrize(
    "text",
    [
        f"left: &bolts [{OBJECT}]\nright: *bolts",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]",
        "left: &left [*left]",
        "&name left: [1]",
        "left: *nowhere",
    ],
)
def test_aliases_are_not_read(text):
    """A few lines of them would take all memory there is."""
    assert faults_of(text)[0].endswith("anchors and aliases (& and *) are not read; in quotes they are text")


@pytest.mark.parametrize(
    "text",
    ["left: !!python/object/apply:os.system ['true']", "!!set {left}", "left: !mine 1", "left: !!float 1", "! left: 1"],
)
def test_tags_are_not_read(text):
    """Some of them are code."""
    assert faults_of(text) == ["flange.yaml, line 1: tags (!) are not read; in quotes they are text"]


def test_all_faults_are_told_at_once_up_to_a_bound():
    assert faults_of("left: [1, {label: a, inner: 0, outer: 1}]\nright: []") == [
        "flange.yaml, line 1: left, object 1: it must be a mapping with class_id or label, inner and outer",
        f"flange.yaml, line 1: left, object 2, inner: {FOUR}",
        f"flange.yaml, line 1: left, object 2, outer: {FOUR}",
        "flange.yaml, line 2: right: it must be a list of at least one object",
    ]
    many = faults_of("left: [" + ", ".join("1" * 50) + "]")
    assert len(many) == 21
    assert many[-1] == "... and 30 more"


def many(patterns: int, objects: int) -> dict[str, list[dict[str, object]]]:
    one: dict[str, object] = {"label": "bolt", "inner": list(INNER), "outer": list(OUTER)}
    return {f"pattern {number}": [one] * objects for number in range(patterns)}


@pytest.mark.parametrize(
    ("patterns", "objects", "told"),
    [
        (MOST_PATTERNS + 1, 1, "it has 101 patterns, and may have 100"),
        (1, MOST_OBJECTS + 1, "pattern 0: it has 101 objects, and may have 100"),
        (11, 91, "it has 1001 objects, and may have 1000"),
    ],
)
def test_a_set_is_bounded(patterns, objects, told):
    """Each pattern is compared with each object of each picture."""
    with pytest.raises(BadPattern) as raised:
        pattern_set("flange", many(patterns, objects))

    assert str(raised.value) == told
    assert pattern_set("flange", many(10, MOST_OBJECTS))
    assert pattern_set("flange", many(MOST_PATTERNS, 10))


@pytest.mark.parametrize("value", [None, [], "left", 1, {"left": {"0": {}}}, {"": [1]}, {"left": [{"label": {}}]}])
def test_a_set_may_come_as_json_too(value):
    with pytest.raises(BadPattern):
        pattern_set("flange", value)


@pytest.mark.parametrize(
    ("class_id", "label", "told"),
    [
        (None, "bolt", None),
        (1, None, None),
        (None, "blot", "flange: left, object 1: the model has no label 'blot'; 'bolt' may be meant"),
        (None, "Schraube", "flange: left, object 1: the model has no label 'Schraube'"),
        (2, None, "flange: left, object 1: the model has no class 2: its classes are 0 to 1"),
    ],
)
def test_classes_are_held_against_a_models(class_id, label, told):
    patterns = PatternSet("flange", (Pattern("left", (ExpectedObject(INNER, OUTER, class_id, label),)),))
    if told is None:
        check_classes(patterns, ["bolt", "nut"])
        return
    with pytest.raises(BadPattern) as raised:
        check_classes(patterns, ["bolt", "nut"])

    assert str(raised.value) == told


def test_a_folder_gives_its_sets_by_key_in_order(tmp_path):
    for name in ("wheel.yml", "flange.YAML", "Teil 7 grün.yaml"):
        (tmp_path / name).write_text(f"one: [{OBJECT}]")
    (tmp_path / "README.md").write_text("not a pattern")
    (tmp_path / ".flange.yaml.swp").write_text("{")
    (tmp_path / ".hidden.yaml").write_text("{")
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "axle.yaml").write_text("{")

    sets = read_pattern_folder(tmp_path)

    assert list(sets) == ["Teil 7 grün", "flange", "wheel"]
    assert [found.key for found in sets.values()] == list(sets)


def test_an_empty_folder_has_no_sets(tmp_path):
    assert read_pattern_folder(tmp_path) == {}


def test_the_faults_of_all_files_are_told_with_their_names(tmp_path):
    (tmp_path / "a.yaml").write_text("left: []")
    (tmp_path / "b.yaml").write_text(f"left: [{OBJECT}]")
    (tmp_path / "c.yml").write_text("\n}\n")
    (tmp_path / "b.yml").write_text(f"left: [{OBJECT}]")
    (tmp_path / "_d.yaml").write_text(f"left: [{OBJECT}]")
    with pytest.raises(BadPattern) as raised:
        read_pattern_folder(tmp_path)

    first, *others = str(raised.value).splitlines()
    assert first.startswith("_d.yaml: a pattern's key begins with a letter or digit")
    assert others[0] == "a.yaml, line 1: left: it must be a list of at least one object"
    assert others[1] == "b.yml: another file has the key b already"
    assert others[2].startswith("c.yml, line 2: it is no YAML: ")
    assert len(others) == 3


def test_one_name_written_in_two_ways_is_one_key(tmp_path):
    """Some systems write an umlaut as two characters; a request may not find the set by one."""
    for name in ("gr\u00fcn.yaml", "gru\u0308n.yml"):
        (tmp_path / name).write_text(f"one: [{OBJECT}]")

    with pytest.raises(BadPattern, match="another file has the key grün already"):
        read_pattern_folder(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "patterns"
    folder.mkdir()
    (tmp_path / "elsewhere.yaml").write_text(f"left: [{OBJECT}]")
    (folder / "out.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    (folder / "circle.yaml").symlink_to(folder / "circle.yaml")
    with pytest.raises(BadPattern) as raised:
        read_pattern_folder(folder)

    assert "out.yaml: the link leads out of the folder of patterns" in str(raised.value).splitlines()
    assert any(line.startswith("circle.yaml: ") for line in str(raised.value).splitlines())


def test_a_folder_as_kubernetes_mounts_it_is_read(tmp_path):
    """Its files are links to a hidden folder beside them, and the folder itself may be one."""
    real = tmp_path / "mounted"
    (real / "..2026_11_27").mkdir(parents=True)
    (real / "..data").symlink_to("..2026_11_27")
    (real / "..2026_11_27" / "flange.yaml").write_text(f"left: [{OBJECT}]")
    (real / "flange.yaml").symlink_to("..data/flange.yaml")
    (tmp_path / "patterns").symlink_to(real)

    assert list(read_pattern_folder(tmp_path / "patterns")) == ["flange"]


def test_what_is_no_readable_file_is_told(tmp_path):
    (tmp_path / "a.yaml").mkdir()
    os.mkfifo(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_bytes(b"left: 1\nright: \xff")
    with (tmp_path / "d.yaml").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(BadPattern) as raised:
        read_pattern_folder(tmp_path)

    assert str(raised.value).splitlines() == [
        "a.yaml: it can't be read: Is a directory",
        "b.yaml: it is not a file",
        "c.yaml, line 2: it is not a text in UTF-8",
        f"d.yaml: it has more than {MOST_BYTES} bytes",
    ]


def test_a_folder_is_bounded(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(MOST_BYTES_OF_A_FOLDER + 1)
    with pytest.raises(BadPattern, match=f"have {MOST_BYTES_OF_A_FOLDER + 1} bytes, and may have"):
        read_pattern_folder(tmp_path)
    (tmp_path / "a.yaml").unlink()
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(BadPattern, match=f"it has {MOST_FILES + 1} pattern files, and may have {MOST_FILES}"):
        read_pattern_folder(tmp_path)


@pytest.mark.parametrize("name", ["gone", "gone.yaml", "flange.txt", ".yaml", "a" * 65 + ".yaml", "a:b.yaml"])
def test_what_is_no_pattern_file_is_told(tmp_path, name):
    with pytest.raises(BadPattern):
        read_pattern_file(tmp_path / name)
    with pytest.raises(BadPattern, match="the folder of patterns can't be read: No such file or directory"):
        read_pattern_folder(tmp_path / "gone")
