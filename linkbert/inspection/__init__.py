"""Look at what the stages wrote: read a corpus, print it for a person, prove it byte by byte."""
