"""A stage that can be killed at any moment and resumed, on this machine or on any Beam engine.

A stage is a few phases; a phase is a list of independent tasks. A task reads files, writes files
under deterministic names and returns a small record of counts. Beam moves only these descriptions
of work; the data stays in files.
"""
