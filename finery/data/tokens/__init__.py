"""A dataset as tokens: made in parallel, cached, each sample with its facts."""
