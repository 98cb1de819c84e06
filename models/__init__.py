"""The models and what surrounds a picture: no server, no web framework, no Ray."""

__version__ = "0.1.0"
