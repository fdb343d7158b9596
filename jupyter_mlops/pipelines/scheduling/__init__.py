"""Recurring runs: when they are due, and that each due time is done once."""
