"""Pattern files: YAML, one set of patterns in each; the file's name without its ending is the set's key.

```
left-hand:
  - {label: bolt, inner: [0.30, 0.30, 0.40, 0.40], outer: [0.26, 0.26, 0.44, 0.44]}
  - {class_id: 2, inner: [0.60, 0.55, 0.80, 0.85], outer: [0.56, 0.51, 0.84, 0.89]}
```
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING
from unicodedata import normalize

from contract.patterns.bounded_yaml import BadYaml, read_yaml
from contract.patterns.fields import WrongFields, pattern_set, told
from contract.patterns.pattern import BadPattern

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from contract.patterns.pattern import PatternSet

SUFFIXES = {".yaml", ".yml"}
MOST_BYTES = 256 * 1024  # some 2,500 objects
MOST_FILES = 1000  # in a folder, and
MOST_BYTES_OF_A_FOLDER = 4 * 1024 * 1024  # which takes some seconds to read
KEY = re.compile(r"[^\W_][\w .-]{0,63}")
KEY_RULE = "a pattern's key begins with a letter or digit and has these, ' ', '.', '_' and '-', 64 at most"


def key_of(path: Path) -> str:
    """The key of the set in a file, by its name alone.

    Raises:
        BadPattern: the name can't be a key.
    """
    key = normalize("NFC", path.name.removesuffix(path.suffix))
    if path.suffix.lower() not in SUFFIXES:
        raise BadPattern(f"{_shown(path)}: a pattern file's name ends in .yaml or .yml")
    if not KEY.fullmatch(key):
        raise BadPattern(f"{_shown(path)}: {KEY_RULE}")
    return key


def read_pattern_file(path: Path) -> PatternSet:
    """The set of patterns in a file.

    Raises:
        BadPattern: it can't be read, or is wrong: a line for each fault, which names the file and, where there is one,
            the line.
    """
    return parse_patterns(key_of(path), _text(path, _shown(path)), _shown(path))


def read_pattern_folder(folder: Path) -> Mapping[str, PatternSet]:
    """The sets of all pattern files directly in a folder, by key, in order of key; perhaps none.

    Other files are nothing to it, nor hidden ones. A link counts where it leads to a file in the folder or below.

    Raises:
        BadPattern: as ``read_pattern_file``, for all files at once; two files have the same key; or the folder can't be
            read, or has too much in it.
    """
    faults: list[str] = []
    sets: dict[str, PatternSet] = {}
    for path in _files(folder):
        try:
            found = parse_patterns(key_of(path), _text(_inside(folder, path), _shown(path)), _shown(path))
        except BadPattern as error:
            faults += error.lines
            continue
        if found.key in sets:
            faults.append(f"{_shown(path)}: another file has the key {found.key} already")
        sets[found.key] = found
    if faults:
        raise BadPattern(*faults)
    return MappingProxyType(dict(sorted(sets.items())))


def parse_patterns(key: str, text: str, name: str) -> PatternSet:
    """The set of patterns in a file's text.

    Args:
        name: of the file, for messages.

    Raises:
        BadPattern: as ``read_pattern_file``.
    """
    try:
        document = read_yaml(text)
    except BadYaml as error:
        raise BadPattern(f"{name}, line {error.line}: {error}") from error
    try:
        return pattern_set(key, document.value)
    except WrongFields as error:
        lines = [f"{name}, line {document.lines[fault.place]}: {told(fault)}" for fault in error.faults]
        raise BadPattern(*lines) from error


def _files(folder: Path) -> list[Path]:
    """In order of name. Raises BadPattern."""
    try:
        paths = sorted(path for path in folder.iterdir() if _is_pattern_file(path))
        size = sum(path.lstat().st_size for path in paths)
    except OSError as error:
        raise BadPattern(f"{folder}: the folder of patterns can't be read: {error.strerror}") from error
    if len(paths) > MOST_FILES:
        raise BadPattern(f"{folder}: it has {len(paths)} pattern files, and may have {MOST_FILES}")
    if size > MOST_BYTES_OF_A_FOLDER:
        raise BadPattern(f"{folder}: its pattern files have {size} bytes, and may have {MOST_BYTES_OF_A_FOLDER}")
    return paths


def _is_pattern_file(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in SUFFIXES


def _inside(folder: Path, path: Path) -> Path:
    """What ``path`` leads to. Raises BadPattern: that lies elsewhere, or a link leads in a circle."""
    with suppress(OSError, RuntimeError):
        real = path.resolve()
        if real.is_relative_to(folder.resolve()):
            return real
    raise BadPattern(f"{_shown(path)}: the link leads out of the folder of patterns")


def _text(path: Path, name: str) -> str:
    """Raises BadPattern, which calls the file ``name``."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:  # Path.open takes no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadPattern(f"{name}: it is not a file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadPattern(f"{name}: it can't be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise BadPattern(f"{name}: it has more than {MOST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadPattern(f"{name}, line {line}: it is not a text in UTF-8") from error


def _open_at_once(path: str, flags: int) -> int:
    """A pipe would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _shown(path: Path) -> str:
    """A file's name on one line, whatever characters it holds."""
    return path.name if path.name.isprintable() else ascii(path.name)
