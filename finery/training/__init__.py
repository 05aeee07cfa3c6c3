"""Training of an adapter on the prepared data."""
