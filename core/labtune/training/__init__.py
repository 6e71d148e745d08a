"""Training: the loop on accelerate, its optimiser, checkpoints and log."""
