"""``make fuzz``: pictures and requests that nobody should send, and how the service answers them."""
