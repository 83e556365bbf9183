"""The tables of the chain, one Arrow schema per module."""
