"""Recurrent cells in every wrapper, ConvLSTM and rarer layers, for every Keras from 2.2.4 on (Python 3.6 and later).

A function returns the model and its inputs, or None where this Keras has no such layer.
"""

import numpy as np
import tensorflow as tf

if tf.__version__.startswith("1."):
    import keras
else:
    from tensorflow import keras

VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])
IS_3 = VERSION >= (2, 16)
L = keras.layers
Sequential, Model = keras.models.Sequential, keras.models.Model
TIME, WORDS = 6, 11


def tokens(rows=9):
    """Masks of every kind: none, right, left, holes, all."""
    x = np.random.RandomState(5).randint(1, WORDS, (rows, TIME)).astype("int32")
    x[1, 4:] = 0
    x[2, :3] = 0
    x[3, [0, 2, 5]] = 0
    x[4] = 0
    return x


def floats(*shape):
    return np.random.RandomState(6).normal(0, 1.2, shape).astype("float32")


def cells():
    i = L.Input((TIME, 3), name="x")
    outputs = [
        L.RNN(L.LSTMCell(4))(i),
        L.RNN(L.GRUCell(3), return_sequences=True)(i),
        L.RNN(L.SimpleRNNCell(2), go_backwards=True, return_sequences=True)(i),
        L.RNN([L.LSTMCell(3), L.GRUCell(4)])(i),
        L.RNN(L.StackedRNNCells([L.SimpleRNNCell(3), L.LSTMCell(2), L.LSTMCell(3)]), return_sequences=True)(i),
        L.RNN([L.GRUCell(3), L.LSTMCell(2)], return_sequences=True, go_backwards=True)(i),
    ]
    return Model(i, outputs), floats(8, TIME, 3)


def masked_cells():
    i = L.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(WORDS, 4, mask_zero=True)(i)
    outputs = [
        L.RNN(L.LSTMCell(4), return_sequences=True)(x),
        L.RNN([L.LSTMCell(3), L.GRUCell(3)], return_sequences=True)(x),
        L.RNN([L.GRUCell(3), L.SimpleRNNCell(3)], go_backwards=True, return_sequences=True)(x),
        L.RNN([L.LSTMCell(3), L.SimpleRNNCell(3)])(x),
    ]
    return Model(i, outputs), tokens()


def cells_both_ways():
    i = L.Input((TIME, 3), name="x")
    outputs = [L.Bidirectional(L.RNN(L.LSTMCell(3), return_sequences=True))(i), L.Bidirectional(L.RNN(L.GRUCell(3)), merge_mode="sum")(i)]
    return Model(i, outputs), floats(8, TIME, 3)


def cell_states():
    i = L.Input((TIME, 3), name="x")
    y, h, c = L.RNN(L.LSTMCell(4), return_sequences=True, return_state=True)(i)
    z = L.LSTM(4)(i, initial_state=[h, c])
    return Model(i, [y, h, c, z]), floats(8, TIME, 3)


def stacked_states():
    if VERSION < (2, 4):
        return None
    i = L.Input((TIME, 3), name="x")
    y, one, two = L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)], return_state=True)(i)
    return Model(i, [y, one, two]), floats(8, TIME, 3)


def films():
    """Pictures in time."""
    i = L.Input((4, 5, 6, 2), name="x")
    x = L.ConvLSTM2D(3, (3, 2), padding="same", return_sequences=True)(i)
    x = L.ConvLSTM2D(2, 2, go_backwards=True, return_sequences=True, activation="relu")(x)
    strided = L.ConvLSTM2D(2, 3, strides=2, padding="same", use_bias=False)(i)
    dilated = L.ConvLSTM2D(2, 2, dilation_rate=2, recurrent_activation="sigmoid")(x)
    return Model(i, [x, strided, dilated]), floats(5, 4, 5, 6, 2)


def film_states():
    i = L.Input((3, 4, 4, 1), name="x")
    y, h, c = L.ConvLSTM2D(2, 2, padding="same", return_state=True)(i)
    return Model(i, [y, h, c]), floats(5, 3, 4, 4, 1)


def other_films():
    if not hasattr(L, "ConvLSTM1D"):
        return None
    i, j = L.Input((4, 6, 2), name="line"), L.Input((3, 4, 3, 3, 1), name="block")
    outputs = [L.ConvLSTM1D(3, 3)(i), L.ConvLSTM1D(2, 2, padding="same", return_sequences=True)(i), L.ConvLSTM3D(2, 2, padding="same")(j)]
    return Model([i, j], outputs), {"line": floats(5, 4, 6, 2), "block": floats(5, 3, 4, 3, 3, 1)}


def masked_films():
    if VERSION < (2, 6):
        return None
    i, m = L.Input((4, 3, 3, 1), name="x"), L.Input((4,), dtype="bool", name="seen")
    outputs = [L.ConvLSTM2D(2, 2, return_sequences=True)(i, mask=m), L.ConvLSTM2D(2, 2, padding="same", go_backwards=True)(i, mask=m)]
    seen = np.random.RandomState(2).rand(6, 4) > 0.4
    seen[0], seen[1] = True, False
    return Model([i, m], outputs), {"x": floats(6, 4, 3, 3, 1), "seen": seen}


def spectral():
    if not hasattr(L, "SpectralNormalization"):
        return None
    i = L.Input((5, 6, 2), name="x")
    x = L.SpectralNormalization(L.Conv2D(3, 2))(i)
    return Model(i, L.SpectralNormalization(L.Dense(4, activation="relu"))(L.Flatten()(x))), floats(5, 5, 6, 2)


def augmented():
    """What changes pictures only while training."""
    if not hasattr(L, "RandomFlip"):
        return None
    i = L.Input((6, 6, 3), name="x")
    layers = [L.RandomFlip(), L.RandomRotation(0.2), L.RandomZoom(0.2), L.RandomTranslation(0.1, 0.1), L.RandomContrast(0.3)]
    layers += [L.RandomBrightness(0.2, value_range=(-9, 9))] if hasattr(L, "RandomBrightness") else []
    x = i
    for layer in layers:
        x = layer(x)
    return Model(i, L.Conv2D(2, 3)(x)), floats(5, 6, 6, 3)


def smooth():
    """Upsampling between the pixels, which before TensorFlow 2 placed them otherwise."""
    i = L.Input((3, 4, 2), name="x")
    return Model(i, [L.UpSampling2D(2, interpolation="bilinear")(i), L.UpSampling2D((3, 2), interpolation="bilinear")(i)]), floats(
        5, 3, 4, 2
    )


def masked_softmax():
    if VERSION < (2, 6):
        return None
    i = L.Input((5,), name="scores")
    m = L.Input((5,), dtype="bool", name="kept")
    kept = np.random.RandomState(2).rand(8, 5) > 0.4
    kept[0], kept[1] = True, False
    return Model([i, m], L.Softmax()(i, mask=m)), {"scores": floats(8, 5), "kept": kept}


def adaptive():
    if not hasattr(L, "AdaptiveAveragePooling1D"):
        return None
    i, j = L.Input((7, 3), name="line"), L.Input((5, 7, 2), name="picture")
    outputs = [L.AdaptiveAveragePooling1D(3)(i), L.AdaptiveMaxPooling1D(4)(i), L.AdaptiveAveragePooling2D((2, 3))(j)]
    outputs.append(L.AdaptiveMaxPooling2D(3)(j))
    return Model([i, j], outputs), {"line": floats(5, 7, 3), "picture": floats(5, 5, 7, 2)}


def grouped():
    if not hasattr(L, "GroupQueryAttention"):
        return None
    i, j = L.Input((5, 6), name="x"), L.Input((4, 6), name="y")
    one = L.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2)(i, j)
    two = L.GroupQueryAttention(head_dim=2, num_query_heads=3, num_key_value_heads=1, use_bias=False)(i, i, use_causal_mask=True)
    return Model([i, j], [one, two]), {"x": floats(4, 5, 6), "y": floats(4, 4, 6)}


PLAIN = []
NETWORKS = [cells, masked_cells, cells_both_ways, cell_states, stacked_states, films, film_states, other_films, masked_films]
NETWORKS += [spectral, augmented, smooth, masked_softmax, adaptive, grouped]
