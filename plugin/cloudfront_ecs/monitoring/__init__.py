"""What others may see of a run: metrics for Prometheus, and whether all is well."""
