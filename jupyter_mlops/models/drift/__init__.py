"""How data differs from a reference: pure statistics."""
