"""Kernels that are ready when a step needs one, and the engine by which papermill runs notebooks in them."""
