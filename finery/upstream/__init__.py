"""Where new data comes from: commits that others pushed, and what DVC imported."""
