"""Values: the text of a column becomes a number, a moment, a name."""
