"""tokenizer: pages in, `CORPUS/tokenizer/tokenizer.json` out.

A WordPiece vocabulary is trained reproducibly from the corpus, or taken from an existing model.
"""
