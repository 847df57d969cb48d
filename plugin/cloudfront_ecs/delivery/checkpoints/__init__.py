"""Checkpoints: how far sources are settled, kept by one process or shared by several."""
