"""Runs a recorded history again in a fresh kernel, and proves what came of it."""
