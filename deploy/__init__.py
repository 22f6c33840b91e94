"""How a version gets to the machines that run it: Compose's further files, the proxy, Redis, and ``make release``."""
