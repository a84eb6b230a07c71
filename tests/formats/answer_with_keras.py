"""Answer recorded inputs with files that Keras itself computes; run by the Python of an environment that has TensorFlow.

    python answer_with_keras.py RECORDED.npz ANSWERS.npz FILE…

Writes for each file "NAME/form" and "NAME/out/0" and so on, or "NAME/error".
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from modelport.columns import Array
from modelport.errors import ModelportError
from modelport.formats import keras
from modelport.formats.base import Options
from modelport.schema import Schema


def feed(schema: Schema, recorded: dict[str, Array]) -> dict[str, Array]:
    """Return logical columns, by the names that the schema has."""
    out: dict[str, Array] = {}
    for item in schema.inputs:
        array = recorded.get(item.name, recorded.get("", np.empty(0)))
        out[item.name] = np.asarray(array.reshape(-1).tolist(), object) if item.type == "string" else array
    return out


def main(recorded: str, answers: str, files: list[str]) -> None:
    with np.load(recorded) as archive:
        known = {name: archive[name] for name in archive.files}
    out: dict[str, Array] = {}
    for path in map(Path, files):
        start = f"{path.name.split('.')[0]}/in/"
        try:
            predictor = keras.load(path, Options())
            given = feed(predictor.schema, {key.removeprefix(start): value for key, value in known.items() if key.startswith(start)})
            answer = predictor.predict(predictor.schema.pack(given), None)
        except ModelportError as error:
            out[f"{path.name}/error"] = np.asarray(error.message)
            continue
        out[f"{path.name}/form"] = np.asarray(predictor.form)
        out |= {f"{path.name}/out/{at}": answer[item.name] for at, item in enumerate(predictor.schema.outputs)}
    np.savez(answers, **out)  # type: ignore[arg-type]  # numpy's stubs take a flag there


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
