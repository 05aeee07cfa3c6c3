"""What can be known of settings and data together, before anything runs."""
