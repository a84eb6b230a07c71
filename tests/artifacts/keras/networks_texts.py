"""Networks that take texts, words and categories as they are: for tf.keras 2.8 to 2.15 and for Keras 3 on TensorFlow.

A function returns the model and its inputs. Vocabularies are learnt (``adapt``) or given, as people do both.
"""

import numpy as np
import tensorflow as tf

VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])
if VERSION >= (2, 16):
    import keras
else:
    from tensorflow import keras

L, Model = keras.layers, keras.models.Model
STRING = "string"

SEEN = [
    "The film was good, really good!",
    "A dull film: 2 hours of nothing.",
    "It's   the best\tof the year",
    "Nothing new - but well acted",
    "was it good? no. was it dull? no!",
]
ASKED = [
    "The film was GOOD!",
    "unknown words only",
    "",
    "   ",
    "It's the (best) film_of [the] year, it's {good} | ~well~ `acted` <no> \"2\" \\hours\\ ^new^ @ & * + = / % $ #",
    "Ünïcode ÉTÉ good ñandú 映画 good 🎬",
    "dull\ndull\r\nfilm\x0bof\x0cthe\tyear",
    "one\u00a0two\u2003good\u2028film",
    "a" * 40,
    "was was was was was was was was was was",
]
WORDS = ["red", "green", "blue", "", "[UNK]", "Red", "été", "purple", "green ", "blue"]


def column(values):
    return np.asarray(values, dtype=object).reshape(-1, 1)


def text():
    return keras.Input((1,), dtype=STRING, name="text")


def vectorizer(**settings):
    layer = L.TextVectorization(**settings)
    if "vocabulary" not in settings:
        layer.adapt(np.asarray(SEEN, dtype=object))
    return layer


def reviews():
    i = text()
    x = vectorizer(max_tokens=18, output_mode="int", output_sequence_length=6)(i)
    x = L.Embedding(18, 5, mask_zero=True)(x)
    x = L.Bidirectional(L.LSTM(4))(x)
    return Model(i, L.Dense(3, activation="softmax")(x)), column(ASKED)


def bag():
    i = text()
    given = ["good", "dull", "film", "the", "été", "its"]
    x = vectorizer(vocabulary=given, output_mode="multi_hot", max_tokens=12, pad_to_max_tokens=True)(i)
    return Model(i, L.Dense(2)(x)), column(ASKED)


def counted():
    i = text()
    layer = vectorizer(max_tokens=30, output_mode="count", ngrams=2, standardize="lower" if VERSION >= (2, 9) else None)
    return Model(i, L.Dense(2)(layer(i))), column(ASKED)


def triples():
    i = text()
    layer = vectorizer(output_mode="int", ngrams=(1, 3), output_sequence_length=9, max_tokens=60)
    x = L.Embedding(60, 3)(layer(i))
    return Model(i, L.Flatten()(x)), column(ASKED)


def weighted():
    i = text()
    layer = vectorizer(output_mode="tf_idf", max_tokens=14)
    return Model(i, L.Dense(2)(layer(i))), column(ASKED)


def weighted_by_hand():
    i = text()
    settings = {"output_mode": "tf_idf", "vocabulary": ["good", "film", "was"], "idf_weights": [0.5, 1.5, 0.25]}
    padded = vectorizer(max_tokens=9, pad_to_max_tokens=True, **settings)
    return Model(i, L.Dense(2)(L.Concatenate()([vectorizer(**settings)(i), padded(i)]))), column(ASKED)


def sequence_by_hand():
    i = text()
    x = vectorizer(vocabulary=["", "[UNK]", "good", "dull", "film", "the"], output_sequence_length=5)(i)
    return Model(i, L.GRU(3)(L.Embedding(6, 4, mask_zero=True)(x))), column(ASKED)


def spelled():
    i = text()
    how = "strip_punctuation" if VERSION >= (2, 9) else "lower_and_strip_punctuation"
    x = vectorizer(standardize=how, split="character", output_sequence_length=12, max_tokens=25)(i)
    return Model(i, L.Flatten()(L.Embedding(25, 2)(x))), column(ASKED)


def unpadded():
    """The answer depends on the longest text of a batch."""
    i = text()
    x = L.Embedding(40, 3)(vectorizer(max_tokens=40)(i))
    return Model(i, L.GlobalAveragePooling1D()(x)), column(ASKED * 5)


def whole():
    i = text()
    x = vectorizer(vocabulary=["red", "green", "été"], standardize=None, split=None, output_mode="int", output_sequence_length=1)(i)
    return Model(i, L.Flatten()(L.Embedding(5, 2)(x))), column(WORDS)


def flat_text():
    i = keras.Input((), dtype=STRING, name="text")
    x = vectorizer(max_tokens=18, output_sequence_length=6)(i)
    return Model(i, L.Flatten()(L.Embedding(18, 2)(x))), np.asarray(ASKED, dtype=object)


def nested():
    inner = keras.Sequential([keras.Input((1,), dtype=STRING), vectorizer(max_tokens=18, output_sequence_length=4), L.Embedding(18, 3)])
    i = text()
    return Model(i, L.Flatten()(inner(i))), column(ASKED)


def words(kind, seen, **settings):
    layer = kind(**settings)
    layer.adapt(np.asarray(seen).reshape(-1, 1))
    return layer


def shop():
    """Categories of every sort, each encoded as people encode them."""
    colour, size = keras.Input((1,), dtype=STRING, name="colour"), keras.Input((1,), name="size")
    code = keras.Input((1,), dtype="int64", name="code")
    day = keras.Input((1,), dtype="int64", name="day")
    seen = np.asarray([3, 5, 5, 8, 13, -2], "int64")
    parts = [
        words(L.StringLookup, WORDS[:3] * 2, output_mode="one_hot")(colour),
        L.Flatten()(L.Embedding(9, 2)(words(L.StringLookup, ["red", "blue"], num_oov_indices=3)(colour))),
        words(L.IntegerLookup, seen, output_mode="one_hot")(code),
        L.Flatten()(L.Embedding(9, 2)(words(L.IntegerLookup, seen, num_oov_indices=2)(code))),
        L.CategoryEncoding(7, output_mode="one_hot")(day),
        words(L.Normalization, np.asarray([1.5, 2.5, 9.0], "float32"))(size),
    ]
    parts.append(L.Flatten()(L.Embedding(5, 2)(L.Discretization([0.5, 1.0, 2.5])(size))))
    parts.append(L.Flatten()(L.Embedding(11, 2)(L.Hashing(11)(colour))))
    parts.append(L.Flatten()(L.Embedding(11, 2)(L.Hashing(11, salt=[133, 137])(colour))))
    parts.append(L.Flatten()(L.Embedding(11, 2)(L.Hashing(11)(code))))
    x = L.Concatenate()(parts)
    asked = {
        "colour": column(WORDS),
        "size": np.asarray([0.4, 0.5, 0.9, 1, 1.7, 2.5, 2.6, 3, -4, 9], "float32").reshape(-1, 1),
        "code": np.asarray([3, 5, 8, 13, -2, -3, 0, 77, 2**40, 5], "int64").reshape(-1, 1),
        "day": np.asarray([0, 1, 2, 3, 4, 5, 6, 0, 1, 2], "int64").reshape(-1, 1),
    }
    return Model([colour, size, code, day], L.Dense(3)(x)), asked


def tags():
    """Several words a row, some of them masked."""
    i = keras.Input((3,), dtype=STRING, name="tags")
    given = ["red", "green", "blue"]
    parts = [L.StringLookup(vocabulary=given, mask_token="", output_mode=mode)(i) for mode in ("multi_hot", "count")]
    masked = L.StringLookup(vocabulary=given, mask_token="", num_oov_indices=2)(i)
    parts.append(L.Flatten()(L.Embedding(6, 2)(masked)))
    n = keras.Input((3,), dtype="int64", name="numbers")
    parts += [L.CategoryEncoding(5, output_mode=mode)(n) for mode in ("multi_hot", "count")]
    parts += [L.IntegerLookup(vocabulary=[4, 2], mask_token=0, output_mode=mode)(n) for mode in ("multi_hot", "count")]
    rng = np.random.RandomState(3)
    asked = {"tags": rng.choice(np.asarray(WORDS, dtype=object), (12, 3)), "numbers": rng.randint(0, 5, (12, 3)).astype("int64")}
    return Model([i, n], L.Dense(2)(L.Concatenate()(parts))), asked


NETWORKS = [
    reviews,
    bag,
    counted,
    triples,
    weighted,
    weighted_by_hand,
    sequence_by_hand,
    spelled,
    unpadded,
    whole,
    flat_text,
    nested,
    shop,
    tags,
]
