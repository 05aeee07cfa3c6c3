"""The pipeline's stages: one module a stage of dvc.yaml, each a page."""
