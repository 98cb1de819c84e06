"""What the make targets run: set up, serve, demonstrate, stop."""
