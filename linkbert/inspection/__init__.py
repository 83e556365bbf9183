"""Look at what the stages wrote: read a corpus, print it for people, check it byte by byte."""
