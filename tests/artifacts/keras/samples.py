"""Inputs and beginnings shared by the networks that are made here."""

import keras
import numpy as np
from keras import layers as L

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
