"""A model earns its place, serves, is watched, retrained and taken back: gate, version, service, monitor, retrain."""
