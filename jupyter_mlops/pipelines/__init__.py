"""Notebooks as steps: cut out of what was explored, parameterised, and proved before they are written."""
