"""Steady load of which every request's fate is known; what chaos and soak send."""
