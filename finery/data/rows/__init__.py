"""The rows of a dataset's files, and what is wrong with them."""
