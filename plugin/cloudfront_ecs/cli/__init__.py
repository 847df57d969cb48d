"""The command line: one module for each verb; arguments only, the work is elsewhere."""
