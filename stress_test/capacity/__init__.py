"""What the service can do, beside what the bare model and another server do on the same machine in the same run."""
