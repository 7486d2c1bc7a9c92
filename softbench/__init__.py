"""softbench: the complexity and efficiency benchmarking suite for attention."""

__version__ = "0.1.0"
