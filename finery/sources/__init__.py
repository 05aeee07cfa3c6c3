"""Where a base model comes from: one module a scheme, and what all of them check."""
