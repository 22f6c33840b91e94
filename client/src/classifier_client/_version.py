"""The version. ``client/pyproject.toml`` reads it for the package, and ``_http`` for the ``User-Agent``."""

__version__ = "0.2.0"
