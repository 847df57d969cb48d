"""Normalizing: records of text columns become typed documents."""
