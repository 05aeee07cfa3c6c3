"""The schema of params.yaml: one module a section, `schema` for the whole."""
