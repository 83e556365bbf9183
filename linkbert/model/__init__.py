"""The network: BERT as Hugging Face computes it, with a 3-way head for document relations.

LinkBERT (arXiv:2203.15827), section 4.2. `huggingface` maps the weights both ways, `pretrained`
opens an exported model with both of its heads.
"""
