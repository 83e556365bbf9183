"""sample: segments become pairs, pairs become sharded training data.

The pair plan is global and small: which segment_b for which segment_a, in the final order of an
epoch. Shards are then gathered from the flat token ids. `pairs/` holds the recipe itself as pure
functions (LinkBERT, arXiv:2203.15827, sections 4.2 and 4.3).
"""
