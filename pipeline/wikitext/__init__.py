"""From wikitext to text, with the exact place of every link in it.

A page passes through `cut` (drop tables, comments and references), `templates` (render those that
carry prose), `markup` (strip quotes, tags and list marks), `links` and `tokens` (find the links)
and `layout` (lay out paragraphs and count offsets). `extract` calls them all in turn.
"""
