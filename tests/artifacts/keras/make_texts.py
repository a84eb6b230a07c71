"""Make the files of networks that take texts, with that Keras's own predictions in expected.npz, as one zip.

Made in environments of TensorFlow, each its own archive beside this script; where a version cannot save a network, it says so:

    texts_tf284    Python 3.9.18    tensorflow 2.8.4, numpy < 1.24, protobuf < 3.20
    texts_tf2121   Python 3.10.13   tensorflow 2.12.1
    texts_tf2151   Python 3.11.7    tensorflow 2.15.1
    texts_keras3   Python 3.11.7    tensorflow 2.21, keras 3.15

    python make_texts.py NAME
"""

import os
import shutil
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import networks_texts as made_of
import numpy as np

keras = made_of.keras
SUFFIXES = [".hdf5"] if made_of.VERSION < (2, 12) else [".hdf5", ".keras"]


def randomise(model):
    rng = np.random.RandomState(7)
    for layer in model.layers:
        if isinstance(layer, keras.models.Model):
            randomise(layer)
        elif type(layer).__name__ in ("Dense", "Embedding", "Bidirectional"):
            layer.set_weights([rng.normal(0, 0.5, value.shape).astype(value.dtype) for value in layer.get_weights()])


def how(suffix):
    if suffix == ".hdf5":
        return {"include_optimizer": False}
    # TensorFlow 2.12 writes the archive only when told so, and HDF5 under that name otherwise.
    return {"save_format": "keras_v3"} if made_of.VERSION == (2, 12) else {}


def is_saved(path, model, suffix):
    try:
        model.save(path, **how(suffix))
    except Exception as error:
        print(path, "NOT SAVED", type(error).__name__, str(error)[:80].replace("\n", " "))
        if os.path.exists(path):
            os.remove(path)
        return False
    return True


def same(one, two):
    pairs = zip(one, two) if isinstance(one, list) else [(one, two)]  # noqa: B905  # Python 3.9
    return all(np.allclose(a, b, atol=1e-6) for a, b in pairs)


def fed(x):
    """Keras 3 takes texts as tensors only."""
    import tensorflow as tf

    as_tensor = lambda v: tf.constant(v.tolist()) if v.dtype == object else v  # noqa: E731
    return {key: as_tensor(value) for key, value in x.items()} if isinstance(x, dict) else as_tensor(x)


def main(folder):
    out = {}
    for make in made_of.NETWORKS:
        keras.backend.clear_session()
        name = make.__name__
        try:
            model, x = make()
            randomise(model)
            y = model.predict(fed(x), verbose=0)
        except Exception as error:
            print(name, "NOT BUILT", type(error).__name__, str(error)[:300])
            continue
        saved = [suffix for suffix in SUFFIXES if is_saved(os.path.join(folder, name + suffix), model, suffix)]
        for suffix in saved:
            try:
                loaded = keras.models.load_model(os.path.join(folder, name + suffix), compile=False)
                print(name, suffix, "same" if same(y, loaded.predict(fed(x), verbose=0)) else "OTHER AFTER LOADING")
            except Exception as error:
                print(name, suffix, "NOT LOADED", type(error).__name__, str(error)[:300].replace("\n", " "))
        if saved:
            feeds = x if isinstance(x, dict) else {"": x}
            out.update({name + "/in/" + key: value.astype("U") if value.dtype == object else value for key, value in feeds.items()})
            answers = y if isinstance(y, list) else [y]
            out.update({name + "/out/" + str(at): np.asarray(value) for at, value in enumerate(answers)})
    np.savez_compressed(os.path.join(folder, "expected.npz"), **out)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(made)
        shutil.make_archive(sys.argv[1], "zip", made)
