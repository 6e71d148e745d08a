"""From files to batches: reading, labels, splitting, batching."""
