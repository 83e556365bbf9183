"""ingest: any corpus whose documents link to each other becomes the tables that parse writes.

JSON lines, plain text and PubMed XML (LinkBERT, arXiv:2203.15827, section 6) are read into
documents, which are then numbered and their links resolved to titles.
"""
