"""Reading old logs again: a range of hours, of chosen distributions, by several processes."""
