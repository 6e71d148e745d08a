"""What a prediction depends on: which parts of its input carry it, and what a change of the input would do."""
