"""Using a trained run: predict, serve, export."""
