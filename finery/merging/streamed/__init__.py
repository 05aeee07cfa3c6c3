"""Merging a model of any size: a few rows of a weight in memory at a time."""
