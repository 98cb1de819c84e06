"""Twinset beside what people write otherwise: same machine, weights, input, seeds and settings."""
