"""The HTTP side: checks an upload, hands it to the queue, waits, answers. It never decodes pixels or runs a model."""

VERSION = "0.2.0"  # as in pyproject.toml, which no container holds
