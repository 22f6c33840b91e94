"""The service's capacity, compared with the bare model and another server on the same machine in the same run."""
