"""Make the Keras files beside this script, with the inputs and Keras's own predictions in expected.npz.

Run it in an environment with keras 3 and a backend (made with keras 3.15.1 on jax 0.10.2):

    KERAS_BACKEND=jax python make_keras3.py

Each network is tiny, with seeded random weights. Names ending in _h5 and _keras hold the same network in both layouts.
"""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers as L

HERE = Path(__file__).parent
BOTH = {"sentiment", "nested", "frozen_nested", "dense"}
ACTIVATIONS = ["relu", "relu6", "elu", "selu", "gelu", "silu", "softplus", "softsign", "tanh", "sigmoid", "softmax", "exponential", "linear", "leaky_relu", "hard_sigmoid", "hard_silu", "mish", "log_softmax", "celu", "hard_tanh", "log_sigmoid", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus"]
TIME = 7


def tokens(rows: int = 12, time: int = TIME, words: int = 9) -> np.ndarray:
    """Every mask there is: none, right, left, holes, first only, last only, all masked."""
    rng = np.random.default_rng(5)
    x = rng.integers(1, words, (rows, time)).astype("int32")
    x[1, 4:] = 0
    x[2, :3] = 0
    x[3, [0, 2, 5]] = 0
    x[4] = 0
    x[5, 1:] = 0
    x[6, :-1] = 0
    x[7, 1:-1] = 0
    x[8:] *= rng.random((rows - 8, time)) < 0.6
    return x


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(6).normal(0, 1.5, shape).astype("float32")


def masked(rows: int = 12, time: int = TIME, width: int = 3) -> np.ndarray:
    x = floats(rows, time, width)
    x[tokens(rows, time) == 0] = 0
    x[0, 2, 1] = 0
    return x


def reader(*stack: L.Layer, words: int = 9, mask_zero: bool = True) -> keras.Model:
    return keras.Sequential([L.Input((TIME,), dtype="int32", name="tokens"), L.Embedding(words, 4, mask_zero=mask_zero), *stack])


def branches(x: object, *stack: L.Layer) -> list[object]:
    return [layer(x) for layer in stack]


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


def sentiment() -> tuple:
    return reader(
        L.Bidirectional(L.LSTM(5, dropout=0.2, recurrent_dropout=0.2)),
        L.Dense(6, activation="relu"),
        L.Dropout(0.5),
        L.Dense(4, activation="softmax"),
    ), tokens()


def unmasked_stack() -> tuple:
    stack = (
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.GRU(4, return_sequences=True),
        L.LSTM(3, go_backwards=True, return_sequences=True),
        L.SimpleRNN(3),
    )
    return reader(*stack, mask_zero=False), tokens()


def lstm_masked() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    stack = [
        L.LSTM(3, return_sequences=True),
        L.LSTM(3, return_sequences=True, go_backwards=True),
        L.LSTM(3, return_sequences=True, zero_output_for_mask=True),
        L.LSTM(3, return_sequences=True, unroll=True),
        L.LSTM(3, return_sequences=True, go_backwards=True, zero_output_for_mask=True),
    ]
    return keras.Model(i, branches(x, *stack)), tokens()


def lstm_masked_last() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    stack = [
        L.LSTM(3),
        L.LSTM(3, go_backwards=True),
        L.LSTM(3, zero_output_for_mask=True),
        L.LSTM(3, zero_output_for_mask=True, go_backwards=True),
        L.LSTM(3, unroll=True),
        L.LSTM(3, use_bias=False),
        L.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid"),
        L.LSTM(3, activation="linear", recurrent_activation="softsign"),
        L.LSTM(3, activation="elu"),
        L.LSTM(3, activation="softplus"),
        L.LSTM(3, activation="leaky_relu"),
    ]
    return keras.Model(i, L.Concatenate()(branches(x, *stack))), tokens()


def gru_masked() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    stack = [
        L.GRU(3, return_sequences=True),
        L.GRU(3, return_sequences=True, reset_after=False),
        L.GRU(3, return_sequences=True, go_backwards=True, reset_after=False),
        L.GRU(3, return_sequences=True, use_bias=False),
        L.GRU(3, return_sequences=True, use_bias=False, reset_after=False),
        L.GRU(3, return_sequences=True, activation="hard_sigmoid", recurrent_activation="hard_sigmoid"),
    ]
    last = [L.GRU(3), L.GRU(3, reset_after=False), L.GRU(2, go_backwards=True), L.Bidirectional(L.GRU(3))]
    return keras.Model(i, [*branches(x, *stack), L.Concatenate()(branches(x, *last))]), tokens()


def simple_rnn_masked() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    stack = [
        L.SimpleRNN(3, return_sequences=True),
        L.SimpleRNN(3, return_sequences=True, go_backwards=True, activation="relu"),
        L.SimpleRNN(3, return_sequences=True, use_bias=False),
    ]
    last = [L.SimpleRNN(3), L.Bidirectional(L.SimpleRNN(3, activation="hard_sigmoid"))]
    return keras.Model(i, [*branches(x, *stack), L.Concatenate()(branches(x, *last))]), tokens()


def bidirectional_last() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    modes = [L.Bidirectional(L.LSTM(3), merge_mode=mode) for mode in ("concat", "sum", "mul", "ave")]
    mixed = L.Bidirectional(L.LSTM(3, activation="relu"), backward_layer=L.GRU(3, go_backwards=True), merge_mode="sum")
    wide = L.Bidirectional(L.LSTM(3), backward_layer=L.LSTM(2, go_backwards=True))
    turned = L.Bidirectional(L.LSTM(2, go_backwards=True), backward_layer=L.LSTM(2))
    return keras.Model(i, L.Concatenate()(branches(x, *modes, mixed, wide, turned))), tokens()


def bidirectional_sequences() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    modes = [L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=mode) for mode in ("concat", "sum", "mul", "ave")]
    mixed = L.Bidirectional(L.LSTM(3, return_sequences=True), backward_layer=L.GRU(2, go_backwards=True, return_sequences=True))
    turned = L.Bidirectional(L.GRU(2, go_backwards=True, return_sequences=True), backward_layer=L.GRU(2, return_sequences=True))
    return keras.Model(i, branches(x, *modes, mixed, turned)), tokens()


def stacked_masked() -> tuple:
    stack = (
        L.SpatialDropout1D(0.2),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.Dropout(0.1),
        L.Dense(4, activation="tanh"),
        L.BatchNormalization(),
        L.GRU(4, return_sequences=True),
        L.LayerNormalization(),
        L.LSTM(3, go_backwards=True),
    )
    return reader(*stack), tokens()


def stacked_backwards() -> tuple:
    stack = (
        L.LSTM(3, return_sequences=True, go_backwards=True),
        L.TimeDistributed(L.Dense(3)),
        L.GRU(3, return_sequences=True),
        L.GlobalAveragePooling1D(),
    )
    return reader(*stack), tokens()


def masking() -> tuple:
    model = keras.Sequential(
        [L.Input((TIME, 3)), L.Masking(), L.LSTM(4, return_sequences=True), L.Masking(0.25), L.GlobalAveragePooling1D()]
    )
    return model, masked()


def any_length() -> tuple:
    i = keras.Input((None,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    x = L.Bidirectional(L.GRU(3, return_sequences=True))(x)
    c = L.Conv1D(3, 3, padding="same", activation="relu")(x)
    return keras.Model(i, [L.GlobalMaxPooling1D()(c), x, L.MaxPooling1D(2)(c)]), tokens()


def average_masked() -> tuple:
    i = keras.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(9, 4, mask_zero=True)(i)
    stack = [L.GlobalAveragePooling1D(), L.GlobalMaxPooling1D(), L.Flatten()]
    return keras.Model(i, L.Concatenate()(branches(x, *stack))), tokens()[[0, 1, 2, 3, 5, 6, 7]]


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


def convolutional_text() -> tuple:
    stack = (L.Conv1D(6, 3, activation="relu"), L.MaxPooling1D(2), L.Flatten(), L.Dense(1, activation="sigmoid"))
    return reader(*stack, mask_zero=False), tokens()


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


def merged_masks() -> tuple:
    i, j = keras.Input((TIME,), dtype="int32", name="i"), keras.Input((TIME,), dtype="int32", name="j")
    a, b, p = L.Embedding(9, 3, mask_zero=True)(i), L.Embedding(9, 3, mask_zero=True)(j), L.Embedding(9, 3)(j)
    outputs = [
        L.GRU(3)(L.Add()([a, b])),
        L.GRU(3)(L.Concatenate()([a, b])),
        L.GRU(3)(L.Concatenate(axis=1)([a, b])),
        L.GRU(3)(L.Concatenate()([a, p])),
        L.GRU(3)(L.Maximum()([a, p])),
        L.GRU(3)(L.Concatenate(axis=1)([p, a])),
    ]
    return keras.Model([i, j], L.Concatenate()(outputs)), {"i": tokens(), "j": tokens()[::-1].copy()}


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


def passed_mask() -> tuple:
    i, m = keras.Input((TIME, 3), name="x"), keras.Input((TIME,), dtype="bool", name="mask")
    return keras.Model([i, m], [L.LSTM(3)(i, mask=m), L.GlobalAveragePooling1D()(i, mask=m)]), {
        "x": floats(12, TIME, 3),
        "mask": tokens() % 2 + (np.arange(TIME) == 3) > 0,
    }


MAKERS = [
    dense,
    activations,
    activation_layers,
    sentiment,
    unmasked_stack,
    lstm_masked,
    lstm_masked_last,
    gru_masked,
    simple_rnn_masked,
    bidirectional_last,
    bidirectional_sequences,
    stacked_masked,
    stacked_backwards,
    masking,
    any_length,
    average_masked,
    convolution,
    pooling,
    images,
    convolutional_text,
    normalisation,
    shapes,
    merges,
    merged_masks,
    nested,
    frozen_nested,
    time_distributed,
    scalars,
    passed_mask,
]


def randomise(model: keras.Model) -> None:
    rng = np.random.default_rng(7)
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    for layer in model.layers:
        if isinstance(layer, L.Normalization) and layer.input_mean is None:
            layer.finalize_state()  # as loading the file does


def main() -> None:
    record: dict[str, np.ndarray] = {}
    for make in MAKERS:
        keras.utils.set_random_seed(3)
        keras.backend.clear_session()
        model, x = make()
        randomise(model)
        y = model.predict(x, verbose=0)
        feeds = x if isinstance(x, dict) else {"": x}
        answers = y if isinstance(y, list) else [y]
        name = make.__name__
        record.update({f"{name}/in/{key}": value for key, value in feeds.items()})
        record.update({f"{name}/out/{at}": np.asarray(value) for at, value in enumerate(answers)})
        index = MAKERS.index(make)
        if name in BOTH or index % 2:
            model.save(HERE / f"{name}.keras")
        if name in BOTH or not index % 2:
            model.save(HERE / f"{name}.hdf5")
        if name == "sentiment":
            model.save_weights(HERE / "weights_only.weights.h5")
            (HERE / "weights_only.json").write_text(model.to_json())
        print(name, [np.shape(value) for value in answers])
    np.savez_compressed(HERE / "expected.npz", **record)


if __name__ == "__main__":
    main()
