"""segment: documents become segments of token ids, each with the documents it links to.

A segment is whole sentences up to a number of tokens (LinkBERT, arXiv:2203.15827, section 4.2),
never across a document. Segments are written as a table and as one flat file of ids per part.
"""
