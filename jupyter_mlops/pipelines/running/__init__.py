"""Runs of pipelines: each step where there is room for it, on this machine or a cluster, and what it gives."""
