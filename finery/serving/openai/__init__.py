"""What OpenAI's API asks and answers, and what a model makes of it."""
