"""``make chaos``: one fault after the other under steady load, and what became of every request."""
