"""Data against a schema and a reference."""
