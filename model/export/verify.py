"""The last look at a finished bundle, before anything may use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime as ort

from model.export.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path


def check(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    labels = (folder / "labels.txt").read_text().splitlines()
    image = cv2.imread(str(folder / "golden.jpg"))
    image = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
    session = ort.InferenceSession(str(folder / "model.onnx"))
    scores = session.run(None, {"pixels": image[np.newaxis]})[0][0]
    label = labels[int(scores.argmax())]
    if label != card["golden"]["label"]:
        msg = f"{folder.name} sees {label} in the golden picture, not {card['golden']['label']}"
        raise ExportError(msg)
