"""Sinks: where documents go."""
