"""The routes: parse, call the service, format."""
