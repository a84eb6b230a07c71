"""Make files as TensorFlow 2.15's Keras writes them, with inputs and its own predictions in expected.npz.

Made with tensorflow-cpu 2.15.1 (Keras 2.15.0) on Python 3.11:

    python make_tf215.py

What changed since: hard_sigmoid, merged masks, ``batch_input_shape``, the numbering of nested calls.
"""

import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

K, L = tf.keras, tf.keras.layers
HERE = Path(__file__).parent


def tokens() -> np.ndarray:
    rng = np.random.default_rng(5)
    x = rng.integers(1, 9, (12, 7)).astype("int32")
    x[1, 4:] = 0
    x[2, :3] = 0
    x[3, [0, 2, 5]] = 0
    x[4] = 0
    x[8:] *= rng.random((4, 7)) < 0.6
    return x


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(6).normal(0, 1, shape).astype("float32")


def hard_sigmoid() -> tuple:
    layers = [L.Dense(5, activation="hard_sigmoid", input_shape=(4,)), L.Dropout(0.2), L.Dense(3, activation="softmax")]
    return K.Sequential(layers), floats(8, 4) * 2


def masked_stack() -> tuple:
    layers = [
        L.Embedding(9, 4, mask_zero=True, input_length=7),
        L.Bidirectional(L.LSTM(3, return_sequences=True, dropout=0.1)),
        L.Dense(3),
        L.Bidirectional(L.GRU(3, return_sequences=True, reset_after=False), merge_mode="sum"),
        L.LSTM(4, recurrent_activation="hard_sigmoid"),
    ]
    return K.Sequential(layers), tokens()


def merged_masks() -> tuple:
    i, j = K.Input((7,), name="i", dtype="int32"), K.Input((7,), name="j", dtype="int32")
    a, b, p = L.Embedding(9, 3, mask_zero=True)(i), L.Embedding(9, 3, mask_zero=True)(j), L.Embedding(9, 3)(j)
    merged = [
        L.Add()([a, b]),
        L.Concatenate()([a, b]),
        L.Concatenate(axis=1)([a, b]),
        L.Concatenate()([a, p]),
        L.Maximum()([a, p]),
        L.Multiply()([a, b]),
    ]
    return K.Model([i, j], L.Concatenate()([L.GRU(3)(x) for x in merged])), {"i": tokens(), "j": tokens()[::-1].copy()}


def nested() -> tuple:
    i, j = K.Input((5,), name="i"), K.Input((5,), name="j")
    tower = K.Sequential([L.Dense(4, activation="relu", input_shape=(5,)), L.BatchNormalization(), L.Dense(3)], name="tower")
    u, v = K.Input((3,)), K.Input((3,))
    hidden = L.Dense(4)(L.Concatenate()([u, v]))
    head = K.Model([u, v], [L.Dense(2)(hidden), L.Dense(3, activation="softmax")(hidden)], name="head")
    shared = L.Dense(3, name="shared")
    first, second = head([shared(tower(i)), tower(j)]), head([tower(i), shared(tower(j))])
    return K.Model([i, j], [L.Add()([first[0], second[0]]), first[1], second[1]]), {"i": floats(6, 5), "j": floats(6, 5)[::-1] * 0.7}


def main() -> None:
    record: dict[str, np.ndarray] = {}
    for make in (hard_sigmoid, masked_stack, merged_masks, nested):
        K.utils.set_random_seed(3)
        model, x = make()
        rng = np.random.default_rng(7)
        for weight in model.weights:
            value = rng.normal(0, 0.5, weight.shape)
            weight.assign(np.abs(value) + 0.3 if "variance" in weight.name else value)
        y = model.predict(x, verbose=0)
        name = make.__name__
        record.update({f"{name}/in/{key}": value for key, value in (x if isinstance(x, dict) else {"": x}).items()})
        record.update({f"{name}/out/{at}": value for at, value in enumerate(y if isinstance(y, list) else [y])})
        model.save(HERE / f"{name}.h5")
        if make is nested or make is masked_stack:
            model.save(HERE / f"{name}.keras")
        elif make is hard_sigmoid:
            model.save_weights(HERE / f"{name}_weights.h5")
            (HERE / f"{name}_weights.json").write_text(model.to_json())
    np.savez_compressed(HERE / "expected.npz", **record)


if __name__ == "__main__":
    main()
