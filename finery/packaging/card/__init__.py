"""The model card of a package: what it says, and how."""
