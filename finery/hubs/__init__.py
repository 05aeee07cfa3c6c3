"""What the model hubs have in common: their errors, and revisions pinned once."""
