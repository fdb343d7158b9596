"""The service that answers with predictions."""
