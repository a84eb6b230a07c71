"""Composition roots: where the graph of objects is built, top to bottom."""
