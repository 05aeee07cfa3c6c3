"""The whole pipeline, run by DVC on a tiny model and a handful of rows."""
