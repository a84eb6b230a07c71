"""Networks that every Keras 2 can build (Python 3.6 and later); a function returns the model and its inputs, or None."""

import numpy as np
import tensorflow as tf

if tf.__version__.startswith("1."):
    import keras
else:
    from tensorflow import keras

VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])
L = keras.layers
Sequential, Model = keras.models.Sequential, keras.models.Model
TIME, WORDS = 7, 12


def tokens(rows=10):
    """Masks of every kind: none, right, left, holes, all."""
    x = np.random.RandomState(5).randint(1, WORDS, (rows, TIME)).astype("int32")
    x[1, 4:] = 0
    x[2, :3] = 0
    x[3, [0, 2, 5]] = 0
    x[4] = 0
    x[5, 1:] = 0
    return x


def floats(*shape):
    return np.random.RandomState(6).normal(0, 1.5, shape).astype("float32")


def masked(rows=10, width=3):
    x = floats(rows, TIME, width)
    x[tokens(rows) == 0] = 0
    return x


def reader():
    """The usual classifier of texts, with everything at its default."""
    layers = [
        L.Embedding(WORDS, 6, input_length=TIME),
        L.Bidirectional(L.LSTM(4, dropout=0.2, recurrent_dropout=0.2)),
        L.Dense(6, activation="relu"),
        L.Dropout(0.5),
        L.Dense(4, activation="softmax"),
    ]
    return Sequential(layers), tokens()


def stacked_gru():
    layers = [
        L.Embedding(WORDS, 5, input_length=TIME, mask_zero=True),
        L.GRU(4, return_sequences=True),
        L.GRU(4, return_sequences=True, reset_after=True),
        L.GRU(3, reset_after=False, go_backwards=True),
        L.Dense(2),
    ]
    return Sequential(layers), tokens()


def masked_lstm():
    layers = [L.Masking(0.0, input_shape=(TIME, 3)), L.LSTM(4, return_sequences=True), L.LSTM(3), L.Dense(2, activation="sigmoid")]
    return Sequential(layers), masked()


def masked_sequences():
    """What comes out at masked steps."""
    i = L.Input((TIME,), dtype="int32", name="tokens")
    x = L.Embedding(WORDS, 4, mask_zero=True)(i)
    stack = [
        L.LSTM(3, return_sequences=True),
        L.LSTM(3, return_sequences=True, go_backwards=True),
        L.Bidirectional(L.LSTM(3, return_sequences=True)),
        L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode="sum"),
        L.Bidirectional(L.LSTM(3, activation="relu"), merge_mode="ave"),
    ]
    return Model(i, [layer(x) for layer in stack]), tokens()


def simple_rnn():
    layers = [
        L.SimpleRNN(5, input_shape=(TIME, 3), return_sequences=True),
        L.Bidirectional(L.SimpleRNN(3, activation="relu"), merge_mode="mul"),
        L.Dense(1),
    ]
    return Sequential(layers), floats(8, TIME, 3)


def hard_sigmoid():
    layers = [
        L.Dense(6, activation="hard_sigmoid", input_dim=5),
        L.Activation("hard_sigmoid"),
        L.Dense(3, activation="hard_sigmoid"),
    ]
    return Sequential(layers), floats(8, 5) * 2


def text_cnn():
    layers = [
        L.Embedding(WORDS, 6, input_length=TIME),
        L.SpatialDropout1D(0.2),
        L.Conv1D(5, 3, activation="relu", padding="same"),
        L.MaxPooling1D(2),
        L.Conv1D(4, 2, padding="causal", dilation_rate=2),
        L.GlobalMaxPooling1D(),
        L.Dense(3, activation="softmax"),
    ]
    return Sequential(layers), tokens()


def image_cnn():
    layers = [
        L.Conv2D(4, (3, 3), activation="relu", input_shape=(9, 8, 3)),
        L.BatchNormalization(),
        L.MaxPooling2D((2, 2)),
        L.Conv2D(5, 2, padding="same", strides=2, use_bias=False),
        L.BatchNormalization(axis=-1, scale=False),
        L.Activation("relu"),
        L.AveragePooling2D(2, padding="same"),
        L.Flatten(),
        L.Dense(3, activation="softmax"),
    ]
    return Sequential(layers), floats(4, 9, 8, 3) * 0.5


def two_inputs():
    a, b = L.Input((5,), name="age"), L.Input((4,), name="fare")
    x = L.concatenate([L.Dense(4, activation="tanh")(a), L.Dense(4, activation="relu")(b)])
    y = L.add([L.Dense(8)(x), x])
    z = L.multiply([L.average([x, y]), L.maximum([x, y]), L.subtract([x, y])])
    outputs = [L.Dense(3, activation="softmax", name="kind")(y), L.Dense(1, name="price")(z)]
    return Model([a, b], outputs), {"age": floats(6, 5), "fare": floats(6, 4)}


def nested():
    i, j = L.Input((5,), name="i"), L.Input((5,), name="j")
    tower = Sequential([L.Dense(4, activation="relu", input_shape=(5,)), L.BatchNormalization(), L.Dense(3)], name="tower")
    u, v = L.Input((3,), name="u"), L.Input((3,), name="v")
    hidden = L.Dense(4)(L.concatenate([u, v]))
    head = Model([u, v], [L.Dense(2)(hidden), L.Dense(3, activation="softmax")(hidden)], name="head")
    shared = L.Dense(3, name="shared")
    first = head([shared(tower(i)), tower(j)])
    second = head([tower(i), shared(tower(j))])
    return Model([i, j], [L.add([first[0], second[0]]), first[1], second[1]]), {"i": floats(6, 5), "j": floats(6, 5)[::-1] * 0.7}


def time_distributed():
    i = L.Input((4, 6, 3), name="x")
    stack = [
        L.TimeDistributed(L.Dense(3, activation="relu")),
        L.TimeDistributed(L.Conv1D(3, 2)),
        L.TimeDistributed(L.LSTM(2)),
        L.TimeDistributed(Sequential([L.GRU(2, input_shape=(6, 3)), L.Dense(2)])),
    ]
    return Model(i, [layer(i) for layer in stack]), floats(5, 4, 6, 3)


def convolutions():
    i = L.Input((8, 7, 4), name="x")
    stack = [
        L.SeparableConv2D(5, 3, depth_multiplier=2, activation="relu"),
        L.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        L.Conv2DTranspose(3, 3, strides=2),
        L.Conv2DTranspose(3, 3, strides=2, padding="same", use_bias=False),
        L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=(0, 1)),
        L.UpSampling2D(2),
        L.ZeroPadding2D(((1, 0), (0, 2))),
        L.Cropping2D(1),
        L.GlobalAveragePooling2D(),
    ]
    return Model(i, [layer(i) for layer in stack]), floats(3, 8, 7, 4) * 0.5


def sequences():
    i = L.Input((8, 4), name="x")
    stack = [
        L.SeparableConv1D(5, 3, padding="same"),
        L.UpSampling1D(2),
        L.ZeroPadding1D(2),
        L.Cropping1D((1, 2)),
        L.AveragePooling1D(2),
        L.Permute((2, 1)),
        L.Reshape((4, 8)),
        L.LocallyConnected1D(3, 2) if hasattr(L, "LocallyConnected1D") else L.Conv1D(3, 2),
        L.TimeDistributed(L.RepeatVector(2)),
    ]
    return Model(i, [layer(i) for layer in stack]), floats(5, 8, 4) * 0.5


def volumes():
    i = L.Input((5, 4, 6, 2), name="x")
    stack = [
        L.Conv3D(3, 2, activation="relu"),
        L.Conv3D(2, 3, padding="same", strides=2),
        L.Conv3DTranspose(2, 2, strides=2),
        L.MaxPooling3D(2),
        L.AveragePooling3D((1, 2, 2)),
        L.GlobalMaxPooling3D(),
        L.UpSampling3D(2),
        L.ZeroPadding3D(1),
        L.Cropping3D(1),
    ]
    return Model(i, [layer(i) for layer in stack]), floats(2, 5, 4, 6, 2) * 0.5


def activations():
    i = L.Input((4, 6), name="x")
    names = ["elu", "selu", "softplus", "softsign", "tanh", "exponential", "linear", "softmax"]
    stack = [L.Activation(name) for name in names] + [
        L.LeakyReLU(),
        L.LeakyReLU(alpha=0.1),
        L.PReLU(),
        L.PReLU(shared_axes=[1]),
        L.ELU(alpha=0.7),
        L.ReLU(max_value=1.5),
        L.ReLU(negative_slope=0.2, threshold=0.5),
        L.Softmax(axis=1),
        L.ThresholdedReLU(theta=0.8) if hasattr(L, "ThresholdedReLU") else L.ReLU(),
        L.GaussianNoise(0.2),
    ]
    return Model(i, [layer(i) for layer in stack]), floats(5, 4, 6)


def dots():
    a, b, c = L.Input((4, 6), name="a"), L.Input((5, 6), name="b"), L.Input((6,), name="c")
    outputs = [L.dot([a, b], axes=2), L.dot([a, b], axes=-1, normalize=True), L.dot([c, c], axes=1), L.dot([b, c], axes=(2, 1))]
    return Model([a, b, c], outputs), {"a": floats(3, 4, 6), "b": floats(3, 5, 6), "c": floats(3, 6)}


def merged_masks():
    i, j = L.Input((TIME,), dtype="int32", name="i"), L.Input((TIME,), dtype="int32", name="j")
    a, b = L.Embedding(WORDS, 4, mask_zero=True)(i), L.Embedding(WORDS, 4, mask_zero=True)(j)
    plain = L.Embedding(WORDS, 4)(j)
    merged = [L.add([a, b]), L.concatenate([a, b]), L.multiply([a, plain]), L.concatenate([a, b], axis=1)]
    return Model([i, j], [L.LSTM(3)(item) for item in merged]), {"i": tokens(), "j": tokens()[::-1]}


def weights_only():
    return Sequential([L.Dense(4, activation="hard_sigmoid", input_shape=(5,)), L.BatchNormalization(), L.Dense(3)]), floats(6, 5)


def own_metric(y_true, y_pred):
    return keras.backend.mean(keras.backend.abs(y_true - y_pred))


def compiled():
    """With an optimizer, its old arguments and its state, and a metric that nobody else has."""
    model, x = reader()
    name = "lr" if VERSION < (2, 4) else "learning_rate"
    extra = {"decay": 1e-4} if VERSION < (2, 11) else {}
    model.compile(
        loss="categorical_crossentropy", optimizer=keras.optimizers.Adam(**dict(extra, **{name: 0.01})), metrics=["acc", own_metric]
    )
    model.fit(x, np.eye(4)[np.arange(len(x)) % 4], epochs=1, verbose=0)
    return model, x


def lambda_layer():
    return Sequential([L.Dense(3, input_shape=(4,)), L.Lambda(lambda x: x * 2)]), floats(4, 4)


def stateful():
    layers = [L.LSTM(3, batch_input_shape=(4, TIME, 3), stateful=True), L.Dense(2)]
    return Sequential(layers), floats(4, TIME, 3)


def modern():
    """Layers that came with TensorFlow 2."""
    if not hasattr(L, "MultiHeadAttention"):
        return None
    i = L.Input((6, 8), name="x")
    q = L.Input((4, 8), name="q")
    outputs = [
        L.LayerNormalization()(i),
        L.MultiHeadAttention(2, 3)(q, i),
        L.MultiHeadAttention(2, 3, value_dim=4, output_shape=5, use_bias=False)(i, i),
        L.Attention()([q, i]),
        L.Attention(use_scale=True)([q, i]),
        L.AdditiveAttention()([q, i]),
        L.Conv1DTranspose(3, 3, strides=2)(i),
    ]
    return Model([q, i], outputs), {"q": floats(3, 4, 8) * 0.5, "x": floats(3, 6, 8) * 0.5}


NETWORKS = [
    reader, stacked_gru, masked_lstm, masked_sequences, simple_rnn, hard_sigmoid, text_cnn, image_cnn, two_inputs, nested,
    time_distributed, convolutions, sequences, volumes, activations, dots, merged_masks, weights_only, compiled, lambda_layer,
    stateful, modern,
]  # fmt: skip
PLAIN = [compiled]
