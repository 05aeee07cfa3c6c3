"""Quantization of a merged model to 4-bit GPTQ and AWQ."""
