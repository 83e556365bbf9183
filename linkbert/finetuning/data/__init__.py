"""Data as people have them: which file is which, and what is read from each.

In: a folder as it was distributed, or files named one by one. Out: questions, labelled texts,
tagged sentences or choices, whatever the form of their file. Nothing here knows a model.
"""
