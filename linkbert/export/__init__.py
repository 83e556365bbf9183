"""export: a run becomes a folder that every Hugging Face user can load without this package."""
