"""``python -m model.worker``: load a bundle, verify it, and serve its queues until asked to stop."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack, suppress

from redis.exceptions import RedisError

from contract.copy_store import CopyStore
from contract.image_store import ImageStore
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

EXIT_NO_MODEL = 3
EXIT_NO_REDIS = 4

log = logging.getLogger("model.worker")


def main() -> int:
    os.umask(UMASK)
    settings = load_settings(Settings)
    set_up_logging(settings.log_level, settings.log_messages_per_s, settings.log_format)
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
        pictures, copies = ImageStore(settings.upload_dir), CopyStore(settings.copies_dir)
        makes_copies = copies.is_writable()
        if not makes_copies:
            log.warning("%s can't be written: this worker makes no copies of pictures to show", settings.copies_dir)
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
