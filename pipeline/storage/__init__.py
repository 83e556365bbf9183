"""Bytes in and out: a path may be local or remote, a file compressed or not.

`files` writes every file whole or not at all and knows nothing of stages; `remote` does the same
on an object store through Beam's filesystems. `bz2_ranges` decodes any byte range of a bz2 file,
`decompress` and `seven_zip` stream what cannot be split.
"""
