"""The compiler: one straight-line function for each layout, typed or as JSON text."""
