"""Transforms: documents in, documents out."""
