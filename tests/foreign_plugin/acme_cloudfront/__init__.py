"""Adapters of an imaginary company: one of each kind, and observers."""
