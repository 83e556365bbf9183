"""Everything up to the shards: pure functions, and the Beam job that runs them stage by stage."""
