"""What the prepared data is like."""
