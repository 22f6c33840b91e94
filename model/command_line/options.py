"""Options that several command lines have."""

from __future__ import annotations

import argparse
from pathlib import Path

from model.command_line.output import FORMATS


def picture_parser(prog: str, description: str, kind: str) -> argparse.ArgumentParser:
    """Takes ``paths``, ``format``, ``strict`` and ``model``; ``kind`` is of the model."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE|FOLDER")
    add_format_option(parser)
    parser.add_argument(
        "--no-strict",
        dest="strict",
        action="store_false",
        help="take damaged pictures too, by what is there of them, and say which they are",
    )
    add_model_option(parser, kind)
    return parser


def add_format_option(parser: argparse.ArgumentParser) -> None:
    """Have the parser take ``--format``."""
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=f"default: {FORMATS[0]}")


def add_model_option(parser: argparse.ArgumentParser, kind: str) -> None:
    """Have the parser take ``--model``; ``kind`` is of the model that it names."""
    parser.add_argument(
        "--model",
        metavar="NAME|PATH",
        help=f"a {kind}: a name in $MODELS_DIR (./models), or a path with a slash, of a bundle, a folder of bundles or "
        f"an .onnx file (default: the first {kind} of those that are served: $MODELS, else $MODEL_PATH, else what is "
        "in $MODELS_DIR)",
    )


def share(text: str) -> float:
    """Raises ValueError: it is no number above 0 and at most 1."""
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError
    return value


share.__name__ = "number above 0 and at most 1"  # argparse's messages name the type so
