"""From shards to batches: instances in training order, masked on the fly, laid end to end."""
