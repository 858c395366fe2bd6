"""Plots, pictures and diagrams, written as SVG."""
