"""Whether a training learns the same tokens here as in LLaMA-Factory: both are asked."""
