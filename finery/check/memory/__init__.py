"""What a step of the training takes of a machine's memory, known before its weights load."""
