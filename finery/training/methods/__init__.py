"""A module a method: `build_trainer` makes a Trainer that learns by it."""
