"""The command line; the only room that prints. Starts without torch, numpy or pandas."""

from softbench.cli.app import main

__all__ = ["main"]
