"""``python -m model.worker``: load a bundle, verify it, and serve its queues until asked to stop."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from contract.errors import BackendDown, StoreMisused
from contract.image_store.opening import open_to_read
from contract.logging import set_up_logging
from contract.model_state import read_state
from contract.private_files import UMASK
from contract.redis_clients import connect
from contract.settings import load_settings
from model.bundle import load_bundle
from model.decode import Decoder
from model.errors import BundleError, ModelError
from model.loader import BundleLoader
from model.models_folder import choose, find_all
from model.opening import AnyPredictor, verified_predictor
from model.serving.copier import Copier
from model.serving.farewell import say_why
from model.serving.worker import Worker
from model.settings import Settings

if TYPE_CHECKING:
    from contract.copy_store import Copies
    from contract.image_store import PictureStore

EXIT_NO_MODEL = 3
EXIT_NO_REDIS = 4
EXIT_NO_STORE = 5

log = logging.getLogger("model.worker")


def main() -> int:
    os.umask(UMASK)
    settings = load_settings(Settings)
    set_up_logging(settings.log_level, settings.log_messages_per_s, settings.log_format)
    try:
        pictures, copies = _open_stores(settings)
    except StoreMisused as error:
        log.critical("IMAGE_STORE=%s: %s (%s)", settings.image_store, error, error.cause)
        say_why(settings, str(error))
        return EXIT_NO_STORE
    with ExitStack() as stack:
        started = time.monotonic()
        try:
            decoder = stack.enter_context(Decoder(settings.max_pixels))
            predictors = _load(settings, decoder, _currents(settings))
        except ModelError as error:
            log.critical("the model can't be served: %s", error)
            say_why(settings, f"the model can't be served: {error}")
            return EXIT_NO_MODEL
        told = ", ".join(
            f"{found.bundle.model} {found.bundle.precision} ({found.bundle.digest[:12]})" for found in predictors
        )
        log.info("%s verified in %.1f s", told, time.monotonic() - started)
        makes_copies = copies.is_writable()
        if not makes_copies:
            where = settings.copies_dir if settings.picture_folder else settings.image_store
            log.warning("copies can't be stored in %s: this worker makes none of pictures to show", where)
        try:
            worker = Worker(
                connect(settings.redis_address),
                pictures,
                predictors,
                BundleLoader(
                    settings.models_dir,
                    max_pixels=settings.max_pixels,
                    num_threads=settings.num_threads,
                    top_k=settings.top_k_max,
                ),
                batch_max=settings.batch_max,
                batch_wait_s=settings.batch_wait_ms / 1000,
                answer_ttl_s=settings.result_ttl_s,
                bulk_share=settings.bulk_share,
                copier=Copier(pictures, copies, decoder) if makes_copies else None,
            )
            del predictors  # the worker alone holds them, and lets go of what it unloads
            worker.serve()
        except RedisError as error:
            log.critical("Redis does not answer at the start: %s", error)
            return EXIT_NO_REDIS
    return 0


def _open_stores(settings: Settings) -> tuple[PictureStore, Copies]:
    """The pictures and their copies. A store that is away is waited for, when there is something to read.

    Raises:
        StoreMisused: nothing will ever be read as things are set up.
    """
    pictures, copies = open_to_read(settings)
    try:
        pictures.check_readable()
    except StoreMisused:
        raise
    except BackendDown as error:
        log.warning("%s (%s)", error, error.cause)
    return pictures, copies


def _currents(settings: Settings) -> dict[str, str]:
    """The versions that the service serves now, by name; whether Redis is there shows later."""
    names = {text.partition("@")[0] for text in settings.models}
    names |= {found.model.name for found in find_all(settings.models_dir)}
    with suppress(RedisError), connect(settings.redis_address) as redis:
        states = {name: read_state(redis, name) for name in sorted(names)}
        return {name: state.current for name, state in states.items() if state is not None}
    return {}


def _load(settings: Settings, decoder: Decoder, currents: dict[str, str]) -> list[AnyPredictor]:
    """The predictors of all models that the settings name, verified.

    Raises:
        ModelError: one can't be served, or two are the same version.
    """
    bundles = [load_bundle(path, settings.labels_path) for path in choose(settings, currents)]
    versions = [bundle.model for bundle in bundles]
    if len(set(versions)) < len(versions):
        raise BundleError(f"one version of a model is named twice: {', '.join(map(str, versions))}")
    return [
        verified_predictor(bundle, decoder, num_threads=settings.num_threads, top_k=settings.top_k_max)
        for bundle in bundles
    ]


if __name__ == "__main__":
    sys.exit(main())
