"""The reader of PyTorch's files, on files put together byte by byte: there is no PyTorch here to write them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from model.export.efficientnet_lite2 import pytorch_weights as weights
from model.export.errors import ExportError

ORDERED_DICT = b"ccollections\nOrderedDict\n)R"  # an opcode each: name, empty arguments, call
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STOP = b"."


def plain(value):
    """The opcodes that put a plain value on the unpickler's stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def tensor(key, count, shape, strides, *, offset=0, kind="FloatStorage"):
    storage = b"(%bctorch\n%b\n%b%b%bNtQ" % (plain("storage"), kind.encode(), plain(key), plain("cpu"), plain(count))
    view = plain(offset) + plain(shape) + plain(strides)
    return REBUILD + b"(" + storage + view + b"\x89" + ORDERED_DICT + b"tR"


def saved(tensors, storages):
    """As ``torch.save`` wrote it before PyTorch 1.6: ``tensors`` as opcodes, ``storages`` as arrays."""
    head = [pickle.dumps(value, 2) for value in (weights.MAGIC, weights.VERSION, {"little_endian": True})]
    entries = b"".join(plain(name) + opcodes + b"s" for name, opcodes in tensors.items())
    body = b"".join(len(array).to_bytes(8, "little") + array.tobytes() for array in storages.values())
    return b"".join([*head, ORDERED_DICT, entries, STOP, pickle.dumps(list(storages), 2), body])


def test_tensors_come_out_as_they_went_in():
    """Also transposed ones, which share their storage's order: the real file's kernels came from TensorFlow."""
    numbers = np.arange(6, dtype=np.float32)
    data = saved(
        {
            "kernel": tensor("1", 6, (3, 2), (1, 3)),
            "second_row": tensor("1", 6, (3,), (1,), offset=3),
            "batches": tensor("2", 1, (), (), kind="LongStorage"),
        },
        {"1": numbers, "2": np.array([7], np.int64)},
    )

    read = weights.read(data)

    assert list(read) == ["kernel", "second_row", "batches"]
    assert np.array_equal(read["kernel"], numbers.reshape(2, 3).T)
    assert np.array_equal(read["second_row"], [3, 4, 5])
    assert read["batches"] == 7
    assert read["batches"].dtype == np.int64


@pytest.mark.parametrize(
    "name",
    [
        "posix\nsystem",
        "os\nsystem",
        "builtins\neval",
        "builtins\ngetattr",
        "subprocess\nPopen",
        "torch\nload",
        "collections\nOrderedDict.__class__",
        "functools\npartial",
    ],
)
@pytest.mark.parametrize("place", range(5))
def test_a_file_that_asks_for_anything_but_tensors_is_refused_before_it_gets_it(name, place, tmp_path):
    """Who can put a file under our name must not get our computer: in none of its five pickles."""
    proof = tmp_path / "ran"
    attack = b"\x80\x02c%b\n(%btR." % (name.encode(), plain(f"touch {proof}"))
    values: tuple[object, ...] = (weights.MAGIC, weights.VERSION, {"little_endian": True}, {}, [])
    pickles = [pickle.dumps(value, 2) for value in values]
    pickles[place] = attack

    with pytest.raises(ExportError, match="which no table of weights needs"):
        weights.read(b"".join(pickles))
    assert not proof.exists()


def test_a_name_can_be_asked_for_in_no_other_way(tmp_path):
    """The newer opcode takes the name from the stack, and the pickle may build an object without calling it."""
    proof = tmp_path / "ran"
    by_stack = b"\x80\x04" + plain("posix") + plain("system") + b"\x93(" + plain(f"touch {proof}") + b"tR."
    instance = b"(" + plain(f"touch {proof}") + b"iposix\nsystem\n."
    registered = b"\x80\x02\x82\x01."

    for attack in (by_stack, instance, registered):
        with pytest.raises(ExportError):
            weights.read(attack)
    assert not proof.exists()


def test_a_pickle_cannot_change_what_the_names_stand_for():
    """An opcode sets the state of any object, and these live as long as we do: the next file would be misread."""
    state = pickle.dumps((3, ">", None, None, None, -1, -1, 0), 2)[2:-1]
    for name in (b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"):
        with pytest.raises(ExportError):
            weights.read(b"\x80\x02" + name + state + b"b.")

    assert weights.ELEMENTS["FloatStorage"] == np.dtype(np.float32) == np.dtype("<f4")


def test_a_storage_of_objects_is_refused():
    """They would be addresses in our memory."""
    data = saved({"kernel": tensor("1", 1, (1,), (1,))}, {"1": np.zeros(1, np.int64)})

    with pytest.raises(ExportError, match="which is no plain storage"):
        weights.read(data.replace(b"ctorch\nFloatStorage\n", plain("|O")))


@pytest.mark.parametrize(
    "view",
    [
        {"shape": (7,), "strides": (1,)},
        {"shape": (6,), "strides": (1,), "offset": 1},
        {"shape": (2,), "strides": (6,)},
        {"shape": (2,), "strides": (-1,)},
        {"shape": (1,), "strides": (1,), "offset": -1},
        {"shape": (-1,), "strides": (1,)},
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(view):
    """Its numbers would be whatever else lies in our memory."""
    data = saved({"kernel": tensor("1", 6, **view)}, {"1": np.zeros(6, np.float32)})

    with pytest.raises(ExportError, match="can't be read"):
        weights.read(data)


def test_a_file_that_is_cut_short_anywhere_is_refused():
    data = saved({"kernel": tensor("1", 6, (6,), (1,))}, {"1": np.zeros(6, np.float32)})

    for length in range(len(data)):
        with pytest.raises(ExportError, match="can't be read"):
            weights.read(data[:length])


@pytest.mark.parametrize("data", [b"PK\x03\x04 newer PyTorch", pickle.dumps({"kernel": 1}), b"\x93NUMPY"])
def test_another_kind_of_file_is_refused(data):
    with pytest.raises(ExportError, match="can't be read"):
        weights.read(data)
