"""What LLaMA-Factory is told in its files and commands, as params.yaml."""
