"""Recipes: presets of our own and of the papers, and the optimizer that a recipe asks for."""
