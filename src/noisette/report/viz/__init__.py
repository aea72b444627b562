"""Plots, animations and parts of HTML pages."""
