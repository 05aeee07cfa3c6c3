"""Finery: fine-tune open language models as one reproducible pipeline."""
