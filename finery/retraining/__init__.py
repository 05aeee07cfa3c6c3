"""What a retraining leaves: its line on record, its commit in the project's repository."""
