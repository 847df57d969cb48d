"""What makes delivery safe: batches, books, positions, waiting, dead letters."""
