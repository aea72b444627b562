"""Evaluation: quality, variety, memorization, with intervals; how many steps a model needs."""
