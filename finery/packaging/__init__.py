"""A folder that transformers and vLLM load as it is, with its model card and manifest."""
