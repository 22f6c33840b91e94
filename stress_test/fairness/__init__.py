"""What requests for one model notice of a flood of requests for another that the same workers serve."""
