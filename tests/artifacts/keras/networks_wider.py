"""Attention, transposed convolutions, products, cells and states; each function returns the model and its inputs."""

import keras
import numpy as np
from keras import layers as L
from samples import TIME, branches, floats, tokens


def attention() -> tuple:
    i, j = keras.Input((TIME,), dtype="int32", name="i"), keras.Input((TIME,), dtype="int32", name="j")
    a, b, p = L.Embedding(9, 4, mask_zero=True)(i), L.Embedding(9, 4, mask_zero=True)(j), L.Embedding(9, 4)(j)
    outputs = [
        L.Attention()([a, b]),
        L.Attention(use_scale=True, score_mode="concat")([a, b, p]),
        L.Attention(score_mode="concat")([p, b]),
        L.AdditiveAttention()([a, b]),
        L.AdditiveAttention(use_scale=False)([p, p], use_causal_mask=True),
        *L.Attention()([p, b], return_attention_scores=True),
        L.LSTM(3)(L.Attention()([a, b])),
    ]
    return keras.Model([i, j], outputs), {"i": tokens(), "j": tokens()[::-1]}


def multi_head() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="i")
    q, m = keras.Input((5, 6), name="q"), keras.Input((5, TIME), dtype="bool", name="m")
    a, b, c = (L.Embedding(9, 4, mask_zero=True)(i) for _ in range(3))  # one each, as the layer takes masks off its inputs
    p = L.Embedding(9, 4)(i)
    outputs = [
        L.MultiHeadAttention(2, 3)(q, a),
        *L.MultiHeadAttention(2, 3, value_dim=5, output_shape=7)(b, b, return_attention_scores=True),
        L.MultiHeadAttention(3, 2, use_bias=False)(q, p, attention_mask=m),
        L.MultiHeadAttention(1, 4)(p, value=p, key=c, use_causal_mask=True),
        *L.MultiHeadAttention(2, 2)(q, p, p, return_attention_scores=True),
    ]
    mask = np.random.default_rng(4).random((12, 5, TIME)) < 0.7
    return keras.Model([i, q, m], outputs), {"i": tokens(), "q": floats(12, 5, 6) * 0.5, "m": mask}


def transformer() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 8, mask_zero=True)(i)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4, dropout=0.1)(x, x)]))
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, L.Dense(8)(L.Dense(16, activation="gelu")(x))]))
    return keras.Model(i, L.Dense(3, activation="softmax")(L.GlobalAveragePooling1D()(x))), tokens()[:4]


def transposed() -> tuple:
    i, j, k = keras.Input((6, 4), name="i"), keras.Input((5, 4, 3), name="j"), keras.Input((3, 4, 2, 2), name="k")
    lines = [
        L.Conv1DTranspose(3, 3),
        L.Conv1DTranspose(3, 3, strides=2, padding="same", activation="relu"),
        L.Conv1DTranspose(3, 2, strides=3),
        L.Conv1DTranspose(3, 2, strides=3, padding="same"),
        L.Conv1DTranspose(3, 4, strides=3, padding="same", use_bias=False),
        L.Conv1DTranspose(3, 3, dilation_rate=2),
        L.Conv1DTranspose(3, 3, dilation_rate=2, padding="same"),
        L.Conv1DTranspose(3, 5, strides=2, padding="same"),
        L.SeparableConv1D(5, 3, depth_multiplier=2),
        L.DepthwiseConv1D(3, padding="same"),
    ]
    planes = [
        L.Conv2DTranspose(2, 3, strides=2),
        L.Conv2DTranspose(2, (2, 3), strides=(2, 1), padding="same"),
        L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1),
    ]
    volumes = [L.Conv3DTranspose(2, 2, strides=2), L.Conv3DTranspose(2, 3, padding="same"), L.UpSampling3D(2), L.ZeroPadding3D(1)]
    outputs = [*branches(i, *lines), *branches(j, *planes), *branches(k, *volumes)]
    return keras.Model([i, j, k], outputs), {"i": floats(3, 6, 4), "j": floats(3, 5, 4, 3), "k": floats(3, 3, 4, 2, 2)}


def products() -> tuple:
    a, b, c = keras.Input((4, 6), name="a"), keras.Input((5, 6), name="b"), keras.Input((6,), name="c")
    outputs = [
        L.Dot(axes=2)([a, b]),
        L.Dot(axes=-1, normalize=True)([a, b]),
        L.Dot(axes=1)([c, c]),
        L.Dot(axes=(2, 1))([b, c]),
        L.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d", activation="relu")(a),
        L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de")(a),
        L.EinsumDense("...x,xy->...y", output_shape=5)(a),
        L.EinsumDense("abc,bcd->ad", output_shape=3, bias_axes="d")(a),
        L.EinsumDense("abc,ce->aeb", output_shape=(3, None), bias_axes="e")(a),
    ]
    return keras.Model([a, b, c], outputs), {"a": floats(3, 4, 6), "b": floats(3, 5, 6), "c": floats(3, 6)}


def states() -> tuple:
    """An encoder whose state starts a decoder, states of every kind, and two directions kept apart."""
    i, j = keras.Input((TIME,), dtype="int32", name="i"), keras.Input((5, 3), name="j")
    a = L.Embedding(9, 4, mask_zero=True)(i)
    _, h, c = L.LSTM(3, return_state=True)(a)
    decoded = L.LSTM(3, return_sequences=True)(j, initial_state=[h, c])
    _, g = L.GRU(3, return_state=True, return_sequences=True)(a)
    outputs = [
        decoded,
        L.Dense(2)(decoded),
        c,
        *L.GRU(3, return_state=True, go_backwards=True)(j, initial_state=g),
        *L.SimpleRNN(2, return_state=True)(j),
        *L.Bidirectional(L.LSTM(2), merge_mode=None)(a),
        *L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=None)(a),
    ]
    return keras.Model([i, j], outputs), {"i": tokens(), "j": floats(12, 5, 3)}


def normalised() -> tuple:
    i, j = keras.Input((4, 6), name="i"), keras.Input((3, 2, 8), name="j")
    outputs = [
        L.GroupNormalization(3)(i),
        L.GroupNormalization(2, epsilon=1e-2, center=False)(j),
        L.GroupNormalization(-1, scale=False)(j),
        L.RMSNormalization()(i),
        L.RMSNormalization(epsilon=1e-2)(j),
        L.LayerNormalization(axis=[2, 3])(j),
    ]
    return keras.Model([i, j], outputs), {"i": floats(3, 4, 6), "j": floats(3, 3, 2, 8)}
