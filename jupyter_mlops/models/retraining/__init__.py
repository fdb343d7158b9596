"""What starts the training of a successor."""
