"""Who comes in, what goes out, and what is counted of it."""
