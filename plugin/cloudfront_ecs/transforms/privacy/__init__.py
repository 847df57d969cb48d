"""Privacy: what must not leave is dropped, masked, hashed, truncated or redacted."""
