"""pipeline.yaml and what its notebooks declare, as a graph of steps that was checked before anything runs."""
