"""Fine-tuning data as people have them: which file is which split, and what each one holds.

In: a folder as it was distributed, or files named one by one. Out: questions, labelled texts,
tagged sentences or choices, whatever the format of their file. Nothing here depends on a model.
"""
