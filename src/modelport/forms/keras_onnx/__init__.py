"""Keras networks as ONNX graphs: configuration and weights in, bytes of a model out, with Keras's own arithmetic and mask rules.

Pure: opens no file, imports no Keras and no ONNX library. ``parse`` reads the configuration, ``weights`` says which arrays it
needs, ``convert`` writes the graph by the table of layers in ``table``.
"""
