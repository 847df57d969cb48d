"""Documents: the ECS classes, and the way to a field by its name."""
