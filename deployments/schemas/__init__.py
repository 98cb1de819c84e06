"""The public contract: what a request may hold and what an answer holds."""
