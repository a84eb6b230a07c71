"""Make the files of one Keras 2 generation, with inputs and that Keras's own predictions in expected.npz, as one zip.

Runs under Python 3.6 and later. Made in five environments, each its own archive beside this script:

    keras224   Python 3.6.15   keras 2.2.4, tensorflow 1.13.2, h5py 2.10, numpy 1.16.6, termcolor 1.1.0
    keras231   Python 3.7.16   keras 2.3.1, tensorflow 1.15.5, h5py 2.10, numpy 1.18.5, protobuf < 3.20
    tf244      Python 3.8.18   tensorflow 2.4.4, protobuf < 3.20
    tf284      Python 3.9.18   tensorflow 2.8.4, numpy < 1.24, protobuf < 3.20
    tf2121     Python 3.10.13  tensorflow 2.12.1
    tf2151     Python 3.11.7   tensorflow 2.15.1

    python make_keras2.py NAME
    python make_keras2.py cells_NAME networks_cells

    python make_keras2.py rest_NAME networks_rest

The others make another archive of the networks in that file, which Keras 3 (on TensorFlow 2.21) builds as well.
"""

import importlib
import os
import shutil
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

if tf.__version__.startswith("1."):
    import keras
else:
    from tensorflow import keras

VERSION = tuple(int(part) for part in tf.__version__.split(".")[:2])
IS_NEWEST = VERSION >= (2, 13)


def randomise(model):
    rng = np.random.RandomState(7)
    values = []
    # The order of get_weights, which that of model.weights is not.
    weights = [weight for layer in model.layers for weight in layer.weights]
    for weight, value in zip(weights, model.get_weights()):  # noqa: B905  # Python 3.6
        drawn = rng.normal(0, 0.5, value.shape)
        drawn = np.abs(drawn) + 0.3 if "variance" in weight.name else drawn
        values.append(drawn.astype(value.dtype) if value.dtype.kind == "f" else value)
    model.set_weights(values)


def as_fed(x):
    """Keras 3 takes texts as tensors only."""
    if isinstance(x, dict):
        return {key: as_fed(value) for key, value in x.items()}
    return tf.constant(x.tolist()) if x.dtype == object else x


def record(out, name, model, x):
    y = model.predict(as_fed(x))
    feeds = x if isinstance(x, dict) else {"": x}
    fed = {f"{name}/in/{key}": value for key, value in feeds.items()}
    out.update({key: value.astype("U") if value.dtype == object else value for key, value in fed.items()})
    answers = y if isinstance(y, list) else [y]
    out.update({f"{name}/out/{at}": np.asarray(value) for at, value in enumerate(answers)})
    print(name, [np.shape(value) for value in answers])


def save(folder, name, model):
    if name == "weights_only":
        model.save_weights(os.path.join(folder, name + ".h5"))
        with open(os.path.join(folder, name + ".json"), "w") as handle:
            handle.write(model.to_json())
        return
    if name != "augmented" or VERSION < (2, 16):  # which Keras 3 cannot write as HDF5
        model.save(os.path.join(folder, name + ".hdf5"), **({} if name == "compiled" else {"include_optimizer": False}))
    if VERSION >= (2, 12) and name not in ("lambda_layer",):
        # TensorFlow 2.12 writes the archive only when told so, and HDF5 under that name otherwise.
        model.save(os.path.join(folder, name + ".keras"), **({} if IS_NEWEST else {"save_format": "keras_v3"}))


def pretend(self, inputs, initial_state):
    """Stand in for the card's own operation, which no processor has, with something of the right shape."""
    y = keras.backend.repeat_elements(keras.backend.mean(inputs, axis=-1, keepdims=True), self.units, 2)
    return y if self.return_sequences else y[:, 0], initial_state


def cudnn(folder, out):
    """A network for a graphics card cannot run here: its weights go into the ordinary layers, which then predict."""
    layers = keras.layers
    if not hasattr(layers, "CuDNNLSTM") or not tf.__version__.startswith("1."):
        return
    for kind in (layers.CuDNNLSTM, layers.CuDNNGRU):
        kind._process_batch = pretend
    kinds = [
        (layers.CuDNNLSTM(3, return_sequences=True), layers.LSTM(3, return_sequences=True, recurrent_activation="sigmoid")),
        (
            layers.Bidirectional(layers.CuDNNLSTM(2, return_sequences=True)),
            layers.Bidirectional(layers.LSTM(2, return_sequences=True, recurrent_activation="sigmoid")),
        ),
        (layers.CuDNNGRU(3), layers.GRU(3, reset_after=True, recurrent_activation="sigmoid")),
    ]
    models = []
    for pick in (0, 1):
        i = keras.layers.Input((6, 4), name="x")
        y = i
        for pair in kinds:
            pair[pick].name = f"layer_{kinds.index(pair)}"
            y = pair[pick](y)
        models.append(keras.models.Model(i, y))
    path = os.path.join(folder, "cudnn.hdf5")
    randomise(models[0])
    models[0].save(path, include_optimizer=False)
    models[1].load_weights(path)
    record(out, "cudnn", models[1], np.random.RandomState(3).normal(0, 1, (8, 6, 4)).astype("float32"))


def main(folder, networks):
    out = {}
    made_of = importlib.import_module(networks)
    for make in made_of.NETWORKS:
        keras.backend.clear_session()
        made = make()
        if made is None:
            continue
        model, x = made
        if make not in made_of.PLAIN:
            randomise(model)
        record(out, make.__name__, model, x)
        save(folder, make.__name__, model)
    keras.backend.clear_session()
    if networks == "networks_keras2":
        cudnn(folder, out)
    np.savez_compressed(os.path.join(folder, "expected.npz"), **out)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(made, sys.argv[2] if len(sys.argv) > 2 else "networks_keras2")
        shutil.make_archive(sys.argv[1], "zip", made)
