"""Where things are kept: objects by content, snapshots, the journal, and its delivery to MLflow."""
