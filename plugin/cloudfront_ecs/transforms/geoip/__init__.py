"""Places and networks of addresses, from databases that the user brings."""
