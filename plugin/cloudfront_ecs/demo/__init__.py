"""A seeded day of CloudFront traffic, written in the true formats."""
