"""What else people serve or run the same diffusion set with: small and fair, for comparisons."""
