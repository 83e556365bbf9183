"""What a wiki calls things: its namespaces, interwiki prefixes, languages and titles.

`site_info` holds the facts about one wiki (from its dump's header and `languages.json`), `titles`
normalises titles as MediaWiki does, `title_index` finds any of millions in a memory-mapped file.
"""
