"""Ray Serve and HTTP around the models."""
