from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from model.export import photos

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def sample(imagenet_sample: Path) -> photos.Photos:
    """The 250 labelled photos, which are no part of the project."""
    return photos.read(imagenet_sample)


@pytest.fixture(scope="session")
def small_weights() -> dict[str, np.ndarray]:
    """Random weights by Keras' names for a ResNet with stages of 2, 2, 2 and 1 blocks and narrow layers."""
    rng = np.random.default_rng(7)
    weights: dict[str, np.ndarray] = {}

    def conv(name: str, norm: str, shape: tuple[int, int, int, int]) -> None:
        outputs = shape[-1]
        fan_in = shape[0] * shape[1] * shape[2]
        weights[f"{name}/kernel"] = rng.normal(0, fan_in**-0.5, shape).astype(np.float32)
        weights[f"{name}/bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        weights[f"{norm}/gamma"] = rng.uniform(0.5, 1.5, outputs).astype(np.float32)
        weights[f"{norm}/beta"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        weights[f"{norm}/moving_mean"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        weights[f"{norm}/moving_variance"] = rng.uniform(0.5, 1.5, outputs).astype(np.float32)

    conv("conv1", "bn_conv1", (7, 7, 3, 8))
    channels = 8
    for stage, blocks in zip((2, 3, 4, 5), SMALL_BLOCKS, strict=True):
        width = 2**stage
        for letter in "abcdef"[:blocks]:
            res, bn = f"res{stage}{letter}_branch", f"bn{stage}{letter}_branch"
            if letter == "a":
                conv(f"{res}1", f"{bn}1", (1, 1, channels, 4 * width))
            conv(f"{res}2a", f"{bn}2a", (1, 1, channels, width))
            conv(f"{res}2b", f"{bn}2b", (3, 3, width, width))
            conv(f"{res}2c", f"{bn}2c", (1, 1, width, 4 * width))
            channels = 4 * width
    weights["fc1000/kernel"] = rng.normal(0, channels**-0.5, (channels, 10)).astype(np.float32)
    weights["fc1000/bias"] = np.zeros(10, np.float32)
    return weights


SMALL_BLOCKS = (2, 2, 2, 1)
