"""Backbones: the SOFT family, the same pyramid and a plain ViT with any mechanism inside."""
