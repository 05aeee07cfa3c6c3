"""A package in a place that others load models from."""
