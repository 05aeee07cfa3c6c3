"""The house keeps its rules: who imports whom, and that dvc.yaml says so too."""
