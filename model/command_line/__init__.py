"""What the command lines that show pictures to a model have in common."""
