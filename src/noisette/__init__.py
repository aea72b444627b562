"""Noisette grows a generative model from a folder of small pictures."""

__version__ = "0.1.0"
