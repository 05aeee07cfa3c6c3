"""`finery serve`: a model behind an API as OpenAI's, whatever computes it."""
