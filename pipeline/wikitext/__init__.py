"""From wikitext to text, with the exact place of every link in it.

A page passes through `cut` (drop tables, comments, references), `templates` (render those that
carry prose), `links` and `tokens` (find the links), `markup` (strip quotes, tags and list marks)
and `layout` (lay out paragraphs and count offsets). `extract` is the way through all of them.
"""
