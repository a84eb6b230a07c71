"""Networks with something that is not converted, so that Keras itself answers: for tf.keras 2.4 to 2.15, and Keras 3 on TensorFlow.

A function returns the model and its inputs, or None where this Keras has no such layer.
"""

import numpy as np
import tensorflow as tf
from tensorflow import keras

VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])
IS_3 = VERSION >= (2, 16)
L, Sequential, Model = keras.layers, keras.models.Sequential, keras.models.Model


def floats(*shape):
    return np.random.RandomState(6).normal(0, 1.2, shape).astype("float32")


def tokens(rows=6):
    x = np.random.RandomState(5).randint(1, 9, (rows, 5)).astype("int32")
    x[1, 3:] = 0
    x[2, :2] = 0
    return x


def pictures():
    """Cut and resized on the way in."""
    if not hasattr(L, "CenterCrop"):
        return None
    i = L.Input((8, 9, 3), name="picture")
    x = L.CenterCrop(6, 6)(L.Rescaling(1 / 4, offset=0.1)(i))
    return Model(i, L.Conv2D(2, 3)(L.Resizing(4, 5)(x))), floats(5, 8, 9, 3)


def bent():
    """An activation that ONNX's LSTM has not."""
    i = L.Input((5, 3), name="x")
    return Model(i, L.Dense(2)(L.LSTM(4, activation="gelu")(L.LayerNormalization()(i)))), floats(6, 5, 3)


def masked_heads():
    """What attention makes of masks changed from version to version."""
    i = L.Input((5,), dtype="int32", name="tokens")
    x = L.Embedding(9, 6, mask_zero=True)(i)
    return Model(i, L.Dense(2)(L.MultiHeadAttention(2, 3)(x, x))), tokens()


def both_axes():
    i = L.Input((3, 4, 5), name="x")
    return Model(i, L.MultiHeadAttention(2, 3, attention_axes=(1, 2))(i, i)), floats(6, 3, 4, 5)


def calculated():
    """Operations between the layers."""
    i, j = L.Input((4,), name="x"), L.Input((4,), name="y")
    x = L.Dense(4)(i) * 2.0 + j
    return Model([i, j], L.Dense(2)(x - j / 3.0)), {"x": floats(6, 4), "y": floats(6, 4) / 2}


def precise():
    i = L.Input((4,), name="x", dtype="float64")
    return Model(i, L.Dense(3, activation="tanh", dtype="float64")(i)), floats(6, 4).astype("float64")


def crossed():
    """Strings that Keras itself takes."""
    if not hasattr(L, "HashedCrossing"):
        return None
    i, j = L.Input((1,), dtype="string", name="colour"), L.Input((1,), dtype="string", name="size")
    x = L.HashedCrossing(num_bins=7, output_mode="one_hot")((i, j))
    words = np.asarray([["red"], ["green"], ["été"], [""]], dtype=object)
    return Model([i, j], L.Dense(2)(x)), {"colour": words, "size": words[::-1].copy()}


PLAIN = []
NETWORKS = [pictures, bent, masked_heads, both_axes, calculated, precise, crossed]
