"""The conditions that a model must meet."""
