"""One machine, no Docker: starts the same commands as compose, keeps them running, stops them in order."""
