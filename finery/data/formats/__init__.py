"""What a row says: alpaca, conversations, preferences, verdicts."""
