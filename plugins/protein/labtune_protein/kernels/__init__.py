"""What a sequence tells without an encoder: descriptors, regression by kernels on them, and heads that use both."""
