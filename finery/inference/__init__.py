"""A model that answers: loaded as it is evaluated, asked in batches, its calls of tools read."""
