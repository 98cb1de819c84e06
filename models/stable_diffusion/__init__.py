"""Stable Diffusion image-to-image over diffusers' components."""
