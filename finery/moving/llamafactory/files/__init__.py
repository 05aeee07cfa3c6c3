"""What files and commands of LLaMA-Factory say, by the names of its arguments."""
