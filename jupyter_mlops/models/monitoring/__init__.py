"""How a model in service does."""
