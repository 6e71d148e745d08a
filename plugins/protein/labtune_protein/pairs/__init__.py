"""Pairs of residues: tokens, head, loss, metric, baseline and views of contact maps."""
