"""Everything up to the shards: from a dump, or any linked corpus, to sharded training pairs.

The folders are the stages of the README's table, in the same order, on top of four shared ones:

    storage/    bytes in and out: local or remote, compressed or not
    wiki/       what a wiki calls things: namespaces, titles, languages
    wikitext/   wikitext to text and links
    engine/     a stage that can be killed and resumed, here or on Beam
    download/   the dump of a wiki by its name
    parse/ ingest/ graph/ tokenizer/ segment/ sample/    the stages
    dataflow/   the launcher and image for Dataflow

Each stage folder has `config.py` (its options), `stage.py` (its phases and their tasks) and one
module per phase.
"""
