"""What computes: transformers here, llama.cpp or vLLM in a process of its own."""
