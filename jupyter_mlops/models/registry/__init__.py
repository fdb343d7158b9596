"""Versions of models, who may promote them, and the way back."""
