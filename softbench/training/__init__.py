"""Training: the paper's recipe and its loop, of timm's parts."""
