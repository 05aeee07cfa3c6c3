"""Held-out loss, answers and their scores; and the gate over them."""
