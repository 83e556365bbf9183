"""Fine-tuning on question answering, classification and tagging, over transformers' Trainer."""
