"""Networks without recurrent layers, and how networks are put together; each function returns the model and its inputs."""

import keras
import numpy as np
from keras import layers as L
from samples import branches, floats

ACTIVATIONS = [
    "relu",
    "relu6",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "softmax",
    "exponential",
    "linear",
    "leaky_relu",
    "hard_sigmoid",
    "hard_silu",
    "mish",
    "log_softmax",
    "celu",
    "hard_tanh",
    "log_sigmoid",
    "tanh_shrink",
    "soft_shrink",
    "hard_shrink",
    "squareplus",
]


def dense() -> tuple:
    model = keras.Sequential(
        [
            L.Input((5,)),
            L.Dense(7, activation="relu"),
            L.Dropout(0.3),
            L.Dense(6, activation="tanh", use_bias=False),
            L.GaussianNoise(0.1),
            L.Dense(3, activation="softmax"),
        ]
    )
    return model, floats(9, 5)


def activations() -> tuple:
    x = keras.Input((6,), name="x")
    outputs = [L.Activation(name, name=f"as_{name}")(x) for name in ACTIVATIONS]
    return keras.Model(x, L.Concatenate()(outputs)), floats(40, 6) * 3


def activation_layers() -> tuple:
    x = keras.Input((4, 6), name="x")
    stack = [
        L.LeakyReLU(),
        L.LeakyReLU(0.1),
        L.PReLU(),
        L.PReLU(shared_axes=[1]),
        L.ELU(alpha=0.7),
        L.ReLU(),
        L.ReLU(max_value=1.5),
        L.ReLU(negative_slope=0.2, threshold=0.5),
        L.ReLU(max_value=2.0, negative_slope=0.1, threshold=1.0),
        L.Softmax(),
        L.Softmax(axis=1),
        L.Dense(6, activation=keras.layers.LeakyReLU(0.3)),
        L.Activation(keras.activations.gelu),
    ]
    return keras.Model(x, L.Concatenate()(branches(x, *stack))), floats(10, 4, 6) * 2


def convolution() -> tuple:
    i = keras.Input((11, 4), name="x")
    stack = [
        L.Conv1D(3, 3),
        L.Conv1D(3, 3, padding="same", activation="relu"),
        L.Conv1D(3, 4, padding="causal"),
        L.Conv1D(3, 3, padding="causal", dilation_rate=2),
        L.Conv1D(3, 3, strides=2),
        L.Conv1D(3, 4, strides=3, padding="same"),
        L.Conv1D(6, 3, groups=2, padding="same", use_bias=False),
        L.Conv1D(3, 3, dilation_rate=3, padding="same"),
        L.Conv1D(3, 3, padding="causal", strides=2),
        L.ZeroPadding1D((1, 2)),
        L.Cropping1D((2, 1)),
        L.UpSampling1D(2),
    ]
    return keras.Model(i, branches(i, *stack)), floats(5, 11, 4)


def pooling() -> tuple:
    i = keras.Input((11, 4), name="x")
    stack = [
        L.MaxPooling1D(),
        L.MaxPooling1D(3, strides=2, padding="same"),
        L.AveragePooling1D(2),
        L.AveragePooling1D(3, strides=2, padding="same"),
        L.AveragePooling1D(4, padding="same"),
        L.GlobalMaxPooling1D(),
        L.GlobalAveragePooling1D(),
        L.GlobalMaxPooling1D(keepdims=True),
        L.GlobalAveragePooling1D(keepdims=True),
    ]
    return keras.Model(i, branches(i, *stack)), floats(5, 11, 4)


def images() -> tuple:
    i = keras.Input((9, 8, 3), name="x")
    stack = [
        L.Conv2D(4, 3),
        L.Conv2D(4, (2, 3), strides=2, padding="same", activation="relu"),
        L.Conv2D(6, 3, groups=3, dilation_rate=2, padding="same"),
        L.DepthwiseConv2D(3, depth_multiplier=2),
        L.SeparableConv2D(4, 3, padding="same"),
        L.MaxPooling2D(),
        L.MaxPooling2D(3, strides=2, padding="same"),
        L.AveragePooling2D((2, 3), padding="same"),
        L.GlobalAveragePooling2D(),
        L.GlobalMaxPooling2D(keepdims=True),
        L.ZeroPadding2D(((1, 2), (0, 1))),
        L.Cropping2D(1),
        L.UpSampling2D((2, 3)),
        L.BatchNormalization(),
        L.SpatialDropout2D(0.2),
    ]
    return keras.Model(i, branches(i, *stack)), floats(3, 9, 8, 3) * 0.4


def normalisation() -> tuple:
    i = keras.Input((4, 6), name="x")
    stack = [
        L.BatchNormalization(),
        L.BatchNormalization(axis=1, center=False),
        L.BatchNormalization(scale=False, epsilon=0.01),
        L.LayerNormalization(),
        L.LayerNormalization(axis=1),
        L.LayerNormalization(axis=[1, 2], epsilon=0.01),
        L.LayerNormalization(scale=False),
        L.LayerNormalization(center=False),
        L.Rescaling(1 / 3, offset=-1.0),
        L.Normalization(mean=0.5, variance=2.0),
        L.Normalization(axis=-1),
        L.Normalization(axis=-1, invert=True),
        L.Normalization(axis=None),
        L.UnitNormalization(),
    ]
    return keras.Model(i, branches(i, *stack)), floats(6, 4, 6)


def shapes() -> tuple:
    i = keras.Input((4, 6), name="x")
    flat = L.Flatten()(i)
    stack = [L.Reshape((3, 8)), L.Reshape((2, -1, 2)), L.Permute((2, 1)), L.Flatten(), L.Identity(), L.ActivityRegularization(0.1)]
    return keras.Model(i, [*branches(i, *stack), L.RepeatVector(3)(flat)]), floats(5, 4, 6)


def merges() -> tuple:
    a, b, c = keras.Input((4, 6), name="a"), keras.Input((4, 6), name="b"), keras.Input((6,), name="c")
    pairs = [L.Add(), L.Multiply(), L.Average(), L.Subtract(), L.Maximum(), L.Minimum(), L.Concatenate(), L.Concatenate(axis=1)]
    outputs = [layer([a, b]) for layer in pairs] + [L.Add()([a, c]), L.Average()([a, b, a]), L.Multiply()([a, b, c])]
    return keras.Model([a, b, c], outputs), {"a": floats(5, 4, 6), "b": floats(5, 4, 6)[::-1] * 2, "c": floats(5, 6)}


def nested() -> tuple:
    i, j = keras.Input((5,), name="i"), keras.Input((5,), name="j")
    tower = keras.Sequential([L.Input((5,)), L.Dense(4, activation="relu"), L.BatchNormalization(), L.Dense(3)], name="tower")
    u = keras.Input((3,), name="u")
    v = keras.Input((3,), name="v")
    hidden = L.Dense(4)(L.Concatenate()([u, v]))
    head = keras.Model([u, v], [L.Dense(2, name="left")(hidden), L.Dense(3, activation="softmax", name="right")(hidden)], name="head")
    shared = L.Dense(3, name="shared")
    first = head([shared(tower(i)), tower(j)])
    second = head([tower(i), shared(tower(j))])
    return keras.Model([i, j], [L.Add()([first[0], second[0]]), first[1], second[1]]), {"i": floats(6, 5), "j": floats(6, 5)[::-1] * 0.7}


def frozen_nested() -> tuple:
    tower = keras.Sequential(
        [L.Input((5,)), L.Dense(4), L.BatchNormalization(), L.Dense(4), L.BatchNormalization(), L.Dense(4)], name="tower"
    )
    tower.layers[0].trainable = False
    tower.layers[3].trainable = False
    body = keras.Sequential([L.Input((5,)), tower, L.Dense(4), L.Dense(4)], name="body")
    body.layers[1].trainable = False
    return keras.Sequential([L.Input((5,)), body, L.Dense(2)]), floats(6, 5)


def time_distributed() -> tuple:
    i = keras.Input((4, 6, 3), name="x")
    stack = [
        L.TimeDistributed(L.Dense(3, activation="relu")),
        L.TimeDistributed(L.Conv1D(3, 2)),
        L.TimeDistributed(L.Flatten()),
        L.TimeDistributed(L.LSTM(2)),
        L.TimeDistributed(keras.Sequential([L.Input((6, 3)), L.GRU(2), L.Dense(2)])),
    ]
    return keras.Model(i, branches(i, *stack)), floats(5, 4, 6, 3)


def scalars() -> tuple:
    a, b, c = keras.Input((1,), name="age"), keras.Input((), name="fare"), keras.Input((), name="weight")
    d = keras.Input((2,), dtype="int32", name="counts")
    kind = keras.Input((1,), name="kind")
    e = L.Flatten()(L.Embedding(5, 2)(kind))
    x = L.Concatenate()([a, L.Reshape((1,))(b), L.Reshape((1,))(c), L.Dense(2)(d), e])
    feeds = {
        "age": floats(6, 1),
        "fare": floats(6),
        "weight": floats(6) * 2,
        "counts": np.arange(12, dtype="int32").reshape(6, 2),
        "kind": np.arange(6).reshape(6, 1).astype("float32") % 5,
    }
    return keras.Model([a, b, c, d, kind], L.Dense(1, name="price")(x)), feeds
