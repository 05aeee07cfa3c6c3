"""Models that answer: in the terminal, in scripts, and over files of questions."""
