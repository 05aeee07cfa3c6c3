"""A model folder: its weights, files, tokenizer, chat template and layer widths."""
