"""Many runs of one task: the grid of methods and bits, and the search for settings."""
