"""What becomes of each argument: the table, and what makes settings of several together."""
