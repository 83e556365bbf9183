"""What templates show: rules in TOML for all wikis, for those of one language, and a user's own.

`tables` reads and checks the rules, `functions` renders what no pattern can express, `rules` finds
the rule for a template of one wiki and remembers what it rendered.
"""
