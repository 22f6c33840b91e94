"""What ordinary requests notice of a flood of pictures that take long to decode."""
