"""The service's description: ``openapi.yaml``, written by hand and checked by tests, and the pages that show it."""
