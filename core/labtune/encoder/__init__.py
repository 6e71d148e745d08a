"""Pre-trained encoders: loading, packed attention, methods and bits. The only room that knows transformers."""
