"""Model files of other libraries: what they are, and how to get an ONNX from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TORCH = "build the network in PyTorch, load these weights into it, and write it with torch.onnx.export"
_KERAS = "load it with keras.saving.load_model, and write it with model.export('model.onnx', format='onnx')"
_TENSORFLOW = "python -m tf2onnx.convert"
_EXPORTS = {
    ".pt": ("a PyTorch file", _TORCH),
    ".pth": ("a PyTorch file", _TORCH),
    ".ckpt": ("a PyTorch file", _TORCH),
    ".safetensors": ("weights without their network", _TORCH),
    ".h5": ("a Keras file", _KERAS),
    ".keras": ("a Keras file", _KERAS),
    ".tflite": ("a TensorFlow Lite file", f"{_TENSORFLOW} --tflite FILE --output model.onnx"),
    ".pb": ("a TensorFlow file", f"{_TENSORFLOW} --saved-model FOLDER --output model.onnx"),
}


def what_it_is(path: Path) -> str | None:
    """One sentence about a file that is no ONNX, by its name: what it is, and what makes an ONNX of it."""
    if path.suffix.lower() not in _EXPORTS:
        return None
    kind, export = _EXPORTS[path.suffix.lower()]
    return f"{path.name} is {kind}, and an .onnx is needed: {export} (docs/bring-your-own-model.md)"


def foreign_file_in(folder: Path) -> Path | None:
    """The first file of another library in a folder, by name."""
    return next((path for path in sorted(folder.iterdir()) if path.suffix.lower() in _EXPORTS), None)
