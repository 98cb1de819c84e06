"""The CelebA variational autoencoder and its diversity-scaled sampler."""
