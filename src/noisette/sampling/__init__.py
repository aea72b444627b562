"""Sampling: requests for pictures, and the pictures that a model draws for them."""
