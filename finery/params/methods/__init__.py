"""`train.STEP.method`: what a step learns from its samples, a module a method."""
