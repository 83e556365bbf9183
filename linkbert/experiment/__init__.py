"""LinkBERT against BERT and its own ablations, trained alike, compared on held-out articles."""
