"""The prediction service: a model version behind HTTP, exchanged for the next one without dropping a request."""
