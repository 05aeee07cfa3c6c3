"""Whether the configured pipeline can run on this machine, and what to do if it cannot."""
