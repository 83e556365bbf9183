"""parse: a MediaWiki dump becomes the tables pages, redirects and rejects.

The dump is split by bytes, never by the number of workers. A task decodes its range, cuts it into
pages, extracts text and links, and writes one part of each table. A page that cannot be read, takes
too long or kills its process becomes a row of rejects instead of stopping the stage.
"""
