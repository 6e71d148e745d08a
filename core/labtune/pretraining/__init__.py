"""Pre-training: masked-language modelling on records without labels, from scratch or from a checkpoint."""
