"""What a trained model knows, measured on held-out articles."""
