"""The network: BERT as Hugging Face computes it, with a 3-way head for document relations.

LinkBERT (arXiv:2203.15827), section 4.2. `huggingface` renames weights in both directions,
`pretrained` loads an exported model with both of its heads, and `families` trains encoders other
than BERT.
"""
