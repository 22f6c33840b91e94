"""Loading further bundles of a worker's models' folder while it goes on working."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.model_version import WantedModel
from model.bundle import MANIFEST, load_bundle
from model.decode import Decoder
from model.errors import BundleError, ModelError
from model.memory import room_bytes
from model.models_folder import find
from model.opening import AnyPredictor, verified_predictor

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_FACTOR = 3  # of a network's file: its weights, what ONNX Runtime makes of them, and room for a batch


class BundleLoader:
    """Finds, loads and verifies bundles below one folder. It may be used in a thread beside the work.

    Args:
        folder: what others may name bundles in; nothing outside it is loaded.
        max_pixels: of the golden picture, width x height.
        num_threads, top_k: as ``predictor_of`` takes them.
    """

    def __init__(self, folder: Path, *, max_pixels: int, num_threads: int, top_k: int) -> None:
        self._folder = folder
        self._max_pixels = max_pixels
        self._num_threads = num_threads
        self._top_k = top_k

    def load(self, name: str, *, version: str | None = None, path: str | None = None) -> AnyPredictor:
        """The verified predictor of a version of the model ``name``; its decoder is closed, and has to be replaced.

        Args:
            version: which; None for the newest, as ``find`` chooses.
            path: of the bundle, below the folder, instead of that.

        Raises:
            ModelError: there is none, it is not what its manifest says or of another model, or there is no memory.
        """
        place = self._below(path) if path is not None else find(self._folder, WantedModel(name, version))
        bundle = load_bundle(place)
        if bundle.name != name:
            raise BundleError(f"{place.name} is {bundle.model}, and no version of {name}")
        if version is not None and bundle.version != version:
            raise BundleError(f"{place.name} is {bundle.model}, not version {version}")
        self._check_room(bundle.model_path)
        with Decoder(self._max_pixels) as decoder:
            return verified_predictor(bundle, decoder, num_threads=self._num_threads, top_k=self._top_k)

    def _below(self, path: str) -> Path:
        folder = self._folder.resolve()
        place = (folder / path).resolve()
        if not place.is_relative_to(folder) or place == folder:
            raise BundleError("the path leads out of the models' folder")
        if not (place / MANIFEST).is_file():
            raise BundleError(f"there is no bundle at {path} in the models' folder")
        return place

    @staticmethod
    def _check_room(network: Path) -> None:
        needed, room = MEMORY_FACTOR * network.stat().st_size, room_bytes()
        if room is not None and room < needed:
            raise ModelError(
                f"there is no memory for it: about {needed // 10**6} MB are needed, {room // 10**6} are left"
            )
