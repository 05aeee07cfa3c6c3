"""`train.STEP.tuner`: which weights are trained, a module a tuner."""
