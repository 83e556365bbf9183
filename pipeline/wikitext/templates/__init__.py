"""What templates show: rules in TOML for any wiki and for those of one language, and a user's own.

`tables` reads and checks the rules, `functions` renders what a pattern cannot say, `rules` finds
the rule of a template for one wiki and remembers what it gave.
"""
