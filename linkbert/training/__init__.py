"""Pretraining: from shards to a run, resumable at any step, on one device or under torchrun.

LinkBERT (arXiv:2203.15827), section 5.1. Read `trainer` first: the loop is there.
"""
