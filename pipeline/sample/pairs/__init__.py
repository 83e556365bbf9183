"""The heart of the paper as pure functions on arrays: which segment_b for which segment_a.

LinkBERT (arXiv:2203.15827): relations (section 4.2), linked documents drawn by inverse in-degree
(section 4.3), random documents, held-out documents, and TF-IDF neighbours for the ablation.
"""
