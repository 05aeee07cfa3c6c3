"""`finery doctor`: each condition arranged for real, where the machine lacks it by a stand-in."""
