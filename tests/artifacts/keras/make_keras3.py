"""Make the Keras files beside this script, with the inputs and Keras's own predictions in expected.npz.

Run it in an environment with keras 3 and a backend (made with keras 3.15.1 on jax 0.10.2):

    KERAS_BACKEND=jax python make_keras3.py

The networks of networks_wider.py go into one archive, keras3.zip, in both layouts. Each network is tiny,
with seeded random weights; some are saved in both layouts, the rest in one or the other in turn.
"""

import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import networks_plain as plain
import networks_recurrent as recurrent
import networks_wider as wider
import numpy as np
from keras import layers as L

HERE = Path(__file__).parent
BOTH = {"sentiment", "nested", "frozen_nested", "dense"}
MAKERS = [
    plain.dense,
    plain.activations,
    plain.activation_layers,
    recurrent.sentiment,
    recurrent.unmasked_stack,
    recurrent.lstm_masked,
    recurrent.lstm_masked_last,
    recurrent.gru_masked,
    recurrent.simple_rnn_masked,
    recurrent.bidirectional_last,
    recurrent.bidirectional_sequences,
    recurrent.stacked_masked,
    recurrent.stacked_backwards,
    recurrent.masking,
    recurrent.any_length,
    recurrent.average_masked,
    plain.convolution,
    plain.pooling,
    plain.images,
    recurrent.convolutional_text,
    plain.normalisation,
    plain.shapes,
    plain.merges,
    recurrent.merged_masks,
    plain.nested,
    plain.frozen_nested,
    plain.time_distributed,
    plain.scalars,
    recurrent.passed_mask,
]
WIDER = [wider.attention, wider.multi_head, wider.transformer, wider.transposed, wider.products, wider.states, wider.normalised]


def randomise(model: keras.Model) -> None:
    rng = np.random.default_rng(7)
    for weight in model.weights:
        value = rng.normal(0, 0.5, weight.shape)
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    for layer in model.layers:
        if isinstance(layer, L.Normalization) and layer.input_mean is None:
            layer.finalize_state()  # as loading the file does


def record_of(make, model, x) -> dict[str, np.ndarray]:
    y = model.predict(x, verbose=0)
    feeds = x if isinstance(x, dict) else {"": x}
    answers = y if isinstance(y, list) else [y]
    name = make.__name__
    print(name, [np.shape(value) for value in answers])
    record = {f"{name}/in/{key}": value for key, value in feeds.items()}
    return record | {f"{name}/out/{at}": np.asarray(value) for at, value in enumerate(answers)}


def begin(make) -> tuple:
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    model, x = make()
    randomise(model)
    return model, x


def make_wider() -> None:
    record: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in WIDER:
            model, x = begin(make)
            record |= record_of(make, model, x)
            model.save(Path(folder) / f"{make.__name__}.keras")
            model.save(Path(folder) / f"{make.__name__}.hdf5")
        np.savez_compressed(Path(folder) / "expected.npz", **record)
        shutil.make_archive(str(HERE / "keras3"), "zip", folder)


def main() -> None:
    record: dict[str, np.ndarray] = {}
    for index, make in enumerate(MAKERS):
        model, x = begin(make)
        record |= record_of(make, model, x)
        name = make.__name__
        if name in BOTH or index % 2:
            model.save(HERE / f"{name}.keras")
        if name in BOTH or not index % 2:
            model.save(HERE / f"{name}.hdf5")
        if name == "sentiment":
            model.save_weights(HERE / "weights_only.weights.h5")
            (HERE / "weights_only.json").write_text(model.to_json())
    np.savez_compressed(HERE / "expected.npz", **record)


if __name__ == "__main__":
    main()
    make_wider()
