"""`python -m finery.cli`."""

from finery.cli import app

app()
