"""The evaluated models side by side: how they differ, how sure that is, and where."""
