"""What the service says of itself: ``openapi.yaml``, written by hand and held true by tests, and pages that show it."""
