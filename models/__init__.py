"""The models and what surrounds a picture: no server, no web framework, no Ray."""
