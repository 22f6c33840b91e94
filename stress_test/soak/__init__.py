"""``make soak``: load and kills for a long time, and whether anything grows."""
