"""Networks with masks and recurrent layers; each function returns the model and its inputs."""

import keras
import numpy as np
from keras import layers as L
from samples import TIME, branches, floats, masked, reader, tokens


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


def convolutional_text() -> tuple:
    stack = (L.Conv1D(6, 3, activation="relu"), L.MaxPooling1D(2), L.Flatten(), L.Dense(1, activation="sigmoid"))
    return reader(*stack, mask_zero=False), tokens()


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


def passed_mask() -> tuple:
    i, m = keras.Input((TIME, 3), name="x"), keras.Input((TIME,), dtype="bool", name="mask")
    return keras.Model([i, m], [L.LSTM(3)(i, mask=m), L.GlobalAveragePooling1D()(i, mask=m)]), {
        "x": floats(12, TIME, 3),
        "mask": tokens() % 2 + (np.arange(TIME) == 3) > 0,
    }
