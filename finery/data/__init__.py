"""From datasets as LLaMA-Factory has them to tokens and loss masks."""
