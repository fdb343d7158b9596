"""A service as a folder that runs elsewhere."""
