"""Decoders: payloads become records of text columns."""
