"""What other services' clients send and expect, turned into our own terms and back."""
