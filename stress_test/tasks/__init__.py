"""Classification and detection under load at once: what is left to each."""
