"""Routes that make no images: status, the page, what an image says of itself."""
