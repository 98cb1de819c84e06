"""The names of the two sets in requests and answers."""

VAE_SET, DIFFUSION_SET = SETS = ("vae", "stable_diffusion")
