"""Everything that can be known to be wrong before any time is spent."""
