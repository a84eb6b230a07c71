"""Conversion of a model file into another kind, which is only handed over where it is shown to answer the same."""
