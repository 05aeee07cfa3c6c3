"""A module a tuner: which weights are trained, and how they are kept."""
