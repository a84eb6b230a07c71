"""The model folder: manifest, files, hooks."""
