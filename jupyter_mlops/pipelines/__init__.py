"""Notebooks as steps, steps as pipelines: cut out of what was explored, run once for each thing they are given, here or elsewhere."""
