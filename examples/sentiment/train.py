"""Train the sentiment network and write everything that serving it needs.

Writes best_model.hdf5, word_index.json, metrics.json and expected_test.npz, and the artifact's
digest into model.toml. `--epochs 1 --steps-per-epoch 2 --output DIR` tries the whole path in
seconds, without touching the files of this folder.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"  # read once, when keras is imported

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pandas as pd
from sentiment import BANDS, PADDING, TOKENS, UNKNOWN, encode, get_sentiment_DL
from training import (
    HERE,
    SEED,
    Part,
    one_hot,
    read_parts,
    read_vectors,
    report,
    seal,
    write_expected,
    write_metrics,
)

ARTIFACT = "best_model.hdf5"
BATCH = 128
LEARNING_RATE = 2e-3
BLUR = 0.7
"""Width in bands of the bell that spreads a training target over the neighbouring bands."""
WORD_DROPOUT = 0.1
"""Share of training words that are taken for unknown ones, so that those mean something."""
WIDTHS = (16, 24, 32, TOKENS)
"""Widths that training batches are trimmed to: padding is masked, so it need not be computed."""


class Batches(keras.utils.PyDataset):
    """Shuffled batches of texts of similar length, trimmed to the narrowest width that fits.

    A plain list would spend two thirds of the time on padding.
    """

    def __init__(
        self,
        tokens: npt.NDArray[np.int32],
        targets: npt.NDArray[np.float32],
        *,
        augment: bool,
        limit: int | None = None,
    ) -> None:
        """Keep the encoded texts; `limit` bounds the number of batches in an epoch."""
        super().__init__()
        self._tokens = tokens
        self._targets = targets
        self._augment = augment
        self._limit = limit
        self._random = np.random.default_rng(SEED)
        lengths = (tokens != PADDING).sum(axis=1)
        self._widths = np.searchsorted(WIDTHS, lengths)
        self._plan: list[npt.NDArray[np.intp]] = []
        self.on_epoch_end()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._plan)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return one batch: word indexes and targets."""
        rows = self._plan[index]
        width = WIDTHS[self._widths[rows].max()]
        tokens = self._tokens[rows, :width]
        if self._augment:
            dropped = (self._random.random(tokens.shape) < WORD_DROPOUT) & (tokens != PADDING)
            tokens = np.where(dropped, UNKNOWN, tokens)
        return tokens, self._targets[rows]

    def on_epoch_end(self) -> None:
        """Draw the next epoch's batches."""
        plan = [batch for group in range(len(WIDTHS)) for batch in self._cut(group)]
        self._random.shuffle(plan)
        self._plan = plan[: self._limit]

    def _cut(self, group: int) -> Iterator[npt.NDArray[np.intp]]:
        rows = self._random.permutation(np.flatnonzero(self._widths == group))
        for start in range(0, len(rows), BATCH):
            yield rows[start : start + BATCH]


def build(vectors: npt.NDArray[np.float32], *, tokens: int | None) -> keras.Model:
    """Return the network for texts of a fixed number of tokens, or of any (None)."""
    words, size = vectors.shape
    network = keras.Sequential(
        [
            keras.Input((tokens,), dtype="int32", name="tokens"),
            keras.layers.Embedding(words, size, mask_zero=True, trainable=False, name="glove"),
            keras.layers.Bidirectional(keras.layers.LSTM(128, dropout=0.4, recurrent_dropout=0.2), name="reader"),
            keras.layers.Dense(512, activation="relu", name="thought"),
            keras.layers.Dropout(0.5, name="forget"),
            keras.layers.Dense(BANDS, activation="softmax", name="bands"),
        ],
        name="sentiment",
    )
    network.get_layer("glove").set_weights([vectors])
    return network


def soft_targets(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Spread each human score over the bands near it, most on its own band.

    The scores are means of about twenty raters: one just under a band's edge says as much about
    the next band. Validation keeps hard targets.
    """
    distance = values[:, None] * BANDS - (np.arange(BANDS) + 0.5)
    bell = np.exp(-0.5 * (distance / BLUR) ** 2)
    return (bell / bell.sum(axis=1, keepdims=True)).astype(np.float32)


def fit(network: keras.Model, train: Batches, val: Batches, *, epochs: int, checkpoint: Path) -> tuple[int, list[float]]:
    """Train, return with the weights of the best validation epoch, its number and all losses."""
    steps = epochs * len(train)
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps, alpha=0.02)
    network.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=1.0),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = network.fit(
        train,
        validation_data=val,
        epochs=epochs,
        callbacks=[
            keras.callbacks.ModelCheckpoint(checkpoint, monitor="val_loss", save_best_only=True),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=8),
        ],
    )
    network.set_weights(keras.models.load_model(checkpoint).get_weights())
    losses = [round(float(loss), 4) for loss in history.history["val_loss"]]
    return 1 + int(np.argmin(losses)), losses


def predict(network: keras.Model, part: Part, word_idx: dict[str, int]) -> npt.NDArray[np.float32]:
    """Return the band probabilities of one split, from one call as in `get_sentiment_DL`."""
    tokens = encode(part.texts, word_idx)
    return np.asarray(network.predict(tokens, batch_size=len(tokens), verbose=0))


def record(output: Path, parts: dict[str, Part], facts: dict[str, object]) -> None:
    """Measure the files just written, as any reader of them would see them."""
    network = keras.models.load_model(output / ARTIFACT, compile=False)
    word_idx = json.loads((output / "word_index.json").read_text("utf-8"))
    val, test = (predict(network, parts[name], word_idx) for name in ("val", "test"))
    figures = report(val, test, parts)
    frame = pd.DataFrame({"ref": range(len(test)), "text": parts["test"].texts})
    scored = get_sentiment_DL(network, frame, word_idx)["Sentiment_Score"].to_numpy()
    write_expected(output / "expected_test.npz", parts["test"], probabilities=test, Sentiment_Score=scored)
    facts["sha256"] = seal(output, ARTIFACT)
    facts["bytes"] = (output / ARTIFACT).stat().st_size
    write_metrics(output, ARTIFACT, facts | figures)
    print(json.dumps(facts | figures, indent=2))


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=28)
    parser.add_argument("--steps-per-epoch", type=int, help="stop each epoch early, for a trial")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    return parser.parse_args()


def main() -> None:
    """Train, save and record."""
    chosen = options()
    chosen.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(SEED)
    parts = read_parts()
    word_idx, vectors = read_vectors()
    tokens = {name: encode(part.texts, word_idx) for name, part in parts.items()}
    limit = chosen.steps_per_epoch
    train = Batches(tokens["train"], soft_targets(parts["train"].values), augment=True, limit=limit)
    val = Batches(tokens["val"], one_hot(parts["val"].bands), augment=False, limit=limit)
    started = time.perf_counter()
    network = build(vectors, tokens=None)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "best.keras"
        best, losses = fit(network, train, val, epochs=chosen.epochs, checkpoint=checkpoint)
    seconds = round(time.perf_counter() - started)
    served = build(vectors, tokens=TOKENS)
    served.set_weights(network.get_weights())
    # Without the optimizer's state, which is only of use to go on training.
    served.save(chosen.output / ARTIFACT, include_optimizer=False)
    text = json.dumps(word_idx, ensure_ascii=False, separators=(",", ":"))
    (chosen.output / "word_index.json").write_text(text + "\n", "utf-8")
    record(
        chosen.output,
        parts,
        {"best_epoch": best, "train_seconds": seconds, "val_losses": losses},
    )


if __name__ == "__main__":
    main()
