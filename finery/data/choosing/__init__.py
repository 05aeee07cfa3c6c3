"""Which samples train, validate and calibrate."""
