"""The contract between the stages: one Arrow schema per table, the manifest, errors, randomness.

Every other package imports this one; it imports pyarrow, numpy and the standard library only.
"""

__version__ = "0.1.0"
