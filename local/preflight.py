"""Checks for what would keep the service from starting, before anything starts; each fault is one clear line."""

from __future__ import annotations

import errno
import shutil
import socket
import tempfile
from typing import TYPE_CHECKING

from contract.private_files import make_folder, tighten

if TYPE_CHECKING:
    from pathlib import Path

    from local.settings import Settings

ROOM_FOR_UPLOADS_MB = 100  # above the reserve, below which no upload is stored


class CannotStart(Exception):
    """The message is the one line that the person at the terminal reads."""


def check(settings: Settings) -> None:
    """Check the port, the disk and the model, and make the folders that the processes need.

    Raises:
        CannotStart: the address or the port can't be used, the disk is full or read-only, or there is no model.
    """
    _check_port(settings.host, settings.port)
    check_folders(settings)
    _check_room(settings)
    _check_model(settings.model_path or settings.models_dir)


def check_folders(settings: Settings) -> None:
    """Make the folders that the processes need.

    Raises:
        CannotStart: one can't be made or written.
    """
    _make_folders(settings)
    for folder in (settings.data_dir, settings.logs_dir, settings.queue_dir):
        try:
            with tempfile.NamedTemporaryFile(dir=folder) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            raise CannotStart(
                f"DATA_DIR={settings.data_dir} can't be used: {folder} can't be written: {error.strerror}"
            ) from error


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does: a just closed port is free
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise CannotStart(f"HOST={host} is not an IPv4 address or name of this machine") from error
            raise CannotStart(
                f"port {port} on {host} can't be used ({error.strerror}): choose another, as in PORT=8001 make run"
            ) from error


def _make_folders(settings: Settings) -> None:
    try:
        for folder in (settings.logs_dir, settings.queue_dir):
            make_folder(folder)
        tighten((settings.logs_dir, settings.queue_dir))
    except OSError as error:
        raise CannotStart(f"DATA_DIR={settings.data_dir} can't be used: {error.filename}: {error.strerror}") from error


def _check_room(settings: Settings) -> None:
    """The reserve is for the queue's log; the log files may fill theirs."""
    free_mb = shutil.disk_usage(settings.data_dir).free // 1_000_000
    needed_mb = settings.disk_reserve_mb + settings.log_mb + ROOM_FOR_UPLOADS_MB
    if free_mb < needed_mb:
        raise CannotStart(
            f"the disk of DATA_DIR={settings.data_dir} is full: {free_mb} MB free, {needed_mb} needed "
            f"(DISK_RESERVE_MB={settings.disk_reserve_mb}, LOG_MB={settings.log_mb}, and {ROOM_FOR_UPLOADS_MB})"
        )


def _check_model(path: Path) -> None:
    if not path.exists():
        raise CannotStart(f"there is no model at {path}: run 'make model', or name one with MODEL_PATH")
