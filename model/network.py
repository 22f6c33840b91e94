"""A loaded network: batches in, its outputs as they come. Whether its input is the manifest's is checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.errors import BundleError
from model.onnx_runtime import Tensor, inputs_of, open_graph, outputs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from model.bundle import Bundle


PICTURES = -1  # in a shape: as many as there are pictures; None is any number
Shape = tuple[int | None, ...]


class Step(NamedTuple):
    """One run: how many pictures it was of, and the outputs that were asked for, in order."""

    pictures: int
    outputs: list[NDArray]  # type: ignore[type-arg]  # ONNX Runtime is untyped


class Network:
    """A loaded network that takes what the bundle's manifest says.

    Args:
        bundle: the model.
        num_threads: threads that share one operator's work. One per worker for throughput, more for latency.

    Attributes:
        file: its name, for messages.
        one_by_one: whether it takes one picture at a time, because its batch size is fixed at 1.

    Raises:
        BundleError: the file can't be loaded, or its input is not the manifest's.
    """

    def __init__(self, bundle: Bundle, num_threads: int = 1) -> None:
        self._session = open_graph(bundle.model_path, num_threads=num_threads)
        self._input = bundle.input.name
        self.file = bundle.model_path.name
        self.one_by_one = _check_input(inputs_of(self._session), bundle)

    def check_output(self, name: str, shapes: Sequence[Shape], meaning: str) -> None:
        """Hold an output against the manifest; it must be float32.

        Args:
            shapes: that it may have.
            meaning: what the manifest says of it, for the message.

        Raises:
            BundleError: there is none of this name, or it has another type or shape.
        """
        outputs = outputs_of(self._session)
        found = next((tensor for tensor in outputs if tensor.name == name), None)
        if found is None:
            told = "; ".join(map(str, outputs))
            raise BundleError(f"{self.file}: its outputs are {told}, but the manifest says {name}")
        if found.dtype != "float32" or not any(_fits(found, shape) for shape in shapes):
            raise BundleError(f"{self.file}: its output is {found}, but the manifest says float32 with {meaning}")

    def steps(self, names: Sequence[str], batch: NDArray) -> Iterator[Step]:  # type: ignore[type-arg]
        """Run preprocessed pictures, as ``Session.run`` takes them: at once, or one by one."""
        size = 1 if self.one_by_one else max(1, len(batch))
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            yield Step(len(part), self._session.run(list(names), {self._input: part}))


def has_shape(values: NDArray, shape: Shape, pictures: int) -> bool:  # type: ignore[type-arg]  # of any kind
    """Whether an output of so many pictures has this shape."""
    wanted = [pictures if side == PICTURES else side for side in shape]
    return values.ndim == len(wanted) and all(
        side in {have, None} for have, side in zip(values.shape, wanted, strict=True)
    )


def _fits(tensor: Tensor, shape: Shape) -> bool:
    """Whether every dimension that the graph fixes is that of ``shape``."""
    return len(tensor.shape) == len(shape) and all(
        side in {have, None, PICTURES} for have, side in zip(tensor.shape, shape, strict=True) if isinstance(have, int)
    )


def _check_input(inputs: Sequence[Tensor], bundle: Bundle) -> bool:
    """Returns whether the network takes one picture at a time."""
    spec = bundle.input
    sides = (spec.height, spec.width)
    expected = (1, *sides, 3) if spec.layout == "NHWC" else (1, 3, *sides)
    if [tensor.name for tensor in inputs] != [spec.name] or inputs[0].dtype != spec.dtype:
        raise BundleError(
            f"{bundle.model_path.name}: its inputs are {'; '.join(map(str, inputs))}, "
            f"but the manifest says {spec.name} {spec.dtype}"
        )
    batch = inputs[0].shape[0] if inputs[0].shape else None
    if isinstance(batch, int) and batch != 1:
        raise BundleError(
            f"{bundle.model_path.name}: it takes batches of exactly {batch} pictures: export it with a dynamic batch, "
            "or with one of 1 (docs/bring-your-own-model.md)"
        )
    if not _fits(inputs[0], expected):
        raise BundleError(
            f"{bundle.model_path.name}: its input is {inputs[0]}, "
            f"but the manifest says {spec.layout} with height {spec.height} and width {spec.width}"
        )
    return batch == 1
