"""What the HTTP side and the workers agree on: messages, image store, queue and shared settings."""
