"""Examples as tokens by the chat template, and what of them the loss counts."""
