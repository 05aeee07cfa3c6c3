"""Which version of a model is in service: GTO's tags, and the proof behind every promotion."""
