"""Pure functions on numbers. Never torch, nothing of softbench."""
