"""download: the newest complete dump of a wiki by its name, onto this disk.

    WIKI ──dump_status──▶ the files of its newest complete dump, with size and SHA-1
         ──fetch────────▶ OUT/<file>, resumed where it was cut, checked, then named

No stage: nothing here is run by Beam. The rules of the servers are those of
https://dumps.wikimedia.org/ ("rate limits" and "mirrors").
"""
