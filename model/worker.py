"""``python -m model.worker``: load a bundle, verify it, and serve its queues until asked to stop."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack

from redis.exceptions import RedisError

from contract.copy_store import CopyStore
from contract.image_store import ImageStore
from contract.logging import set_up_logging
from contract.private_files import UMASK
from contract.redis_clients import connect
from contract.settings import load_settings
from model.classifier import open_classifier
from model.errors import ModelError
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
            opened = open_classifier(
                settings.model_path,
                settings.labels_path,
                max_pixels=settings.max_pixels,
                num_threads=settings.num_threads,
                top_k=settings.top_k_max,
            )
            classifier = stack.enter_context(opened)
        except ModelError as error:
            log.critical("the model can't be served: %s", error)
            say_why(settings, f"the model can't be served: {error}")
            return EXIT_NO_MODEL
        took_s, bundle = time.monotonic() - started, classifier.bundle
        log.info("%s %s (%s) verified in %.1f s", bundle.name, bundle.precision, bundle.digest[:12], took_s)
        pictures, copies = ImageStore(settings.upload_dir), CopyStore(settings.copies_dir)
        makes_copies = copies.is_writable()
        if not makes_copies:
            log.warning("%s can't be written: this worker makes no copies of pictures to show", settings.copies_dir)
        try:
            Worker(
                connect(settings.redis_address),
                pictures,
                classifier,
                batch_max=settings.batch_max,
                batch_wait_s=settings.batch_wait_ms / 1000,
                answer_ttl_s=settings.result_ttl_s,
                bulk_share=settings.bulk_share,
                copier=Copier(pictures, copies, classifier.decoder) if makes_copies else None,
            ).serve()
        except RedisError as error:
            log.critical("Redis does not answer at the start: %s", error)
            return EXIT_NO_REDIS
    return 0


if __name__ == "__main__":
    sys.exit(main())
