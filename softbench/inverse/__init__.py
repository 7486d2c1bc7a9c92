"""One file a pseudo-inverse solver."""
