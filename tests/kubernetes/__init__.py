"""deploy/kubernetes without a cluster: as kubectl builds it, held beside schemas, settings, images and routes."""
