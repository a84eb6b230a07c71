"""What a hook gets for a Keras file: an object with Keras's ``predict`` over the converted graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from modelport.columns import Array, Columns
from modelport.errors import ModelError
from modelport.forms.keras_onnx.proto import Port
from modelport.schema import Field, Schema

Answer = Array | list[Array]


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """A network that is called as a Keras model is. ``compute`` runs the graph on arrays by input name."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    compute: Callable[[Mapping[str, Array], Sequence[str]], list[Array]]

    def predict(
        self, x: object, batch_size: int | None = None, verbose: object = "auto", steps: int | None = None, **ignored: object
    ) -> Answer:
        """Return the network's answer for ``x``: an array, or a list of them where it has several outputs.

        ``x`` is an array, frame or nested list; for several inputs a list of these in the model's order or a dict by name.
        ``batch_size``, ``verbose``, ``steps``, ``callbacks`` are taken as Keras takes them and change nothing.
        Shapes: (rows, …) as ``input_shape``; a missing last axis of 1 is added, as Keras does.
        Raises: ModelError for arrays of another shape.
        """
        del batch_size, verbose, steps, ignored
        feed = {port.name: _array(port, value) for port, value in zip(self.inputs, self._split(x), strict=True)}
        if len({array.shape[0] for array in feed.values()}) > 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in feed.items())
            raise ModelError(f"the inputs have different numbers of rows ({shapes}); give every input the same")
        found = self.compute(feed, [port.name for port in self.outputs])
        return found[0] if len(found) == 1 else found

    def __call__(self, x: object, training: object = None, mask: object = None) -> Answer:
        """Return what ``predict`` returns; ``training`` and ``mask`` are ignored."""
        del training, mask
        return self.predict(x)

    def predict_on_batch(self, x: object) -> Answer:
        """Return what ``predict`` returns."""
        return self.predict(x)

    def _split(self, x: object) -> list[object]:
        if hasattr(x, "columns") and len(self.inputs) > 1:
            x = {name: cast("Mapping[str, object]", x)[name] for name in (port.name for port in self.inputs)}
        if isinstance(x, Mapping):
            if missing := [port.name for port in self.inputs if port.name not in x]:
                raise ModelError(f'the input "{missing[0]}" is missing; the network takes {", ".join(port.name for port in self.inputs)}')
            return [x[port.name] for port in self.inputs]
        if len(self.inputs) == 1:
            single = isinstance(x, list | tuple) and len(x) == 1 and hasattr(x[0], "shape") and x[0].ndim == len(self.inputs[0].shape)
            return [cast("Sequence[object]", x)[0] if single else x]
        if not isinstance(x, list | tuple) or len(x) != len(self.inputs):
            raise ModelError(f"the network takes {len(self.inputs)} inputs; give a list of as many arrays or a dict by name")
        return list(x)

    @property
    def input_shape(self) -> object:
        """The shape of the input, rows first as None; a list of them where there are several."""
        shapes = [port.shape for port in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> object:
        """The shape of the output, rows first as None; a list of them where there are several."""
        shapes = [port.shape for port in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes


@dataclass(frozen=True, slots=True)
class Standing:
    """A predictor that stands for a converted network: a form of it, which answers like the graph from the file."""

    schema: Schema
    predict: Callable[[Columns, Sequence[str] | None], Columns]
    form: str = "onnx"
    is_row_wise: bool = True

    @property
    def native(self) -> NetworkModel:
        """What hooks call."""
        return NetworkModel(_ports(self.schema.features), _ports(self.schema.outputs), self._compute)

    def _compute(self, feed: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        found = self.predict(self.schema.pack(feed), outputs)
        return [found[name] for name in outputs]


def _ports(fields: Sequence[Field]) -> tuple[Port, ...]:
    return tuple(Port(item.name, item.type, (None, *item.shape)) for item in fields)


def _array(port: Port, value: object) -> Array:
    try:
        if port.dtype == "string":
            return _texts(port, np.asarray(value, object))
        array = np.asarray(value)
        array = np.ascontiguousarray(array, port.dtype).reshape(array.shape)
    except (ValueError, TypeError) as error:
        raise ModelError(f'the input "{port.name}" is no array of {port.dtype} ({error}); give numbers of shape {port.shape}') from error
    return _fitting(port, array)


def _texts(port: Port, array: Array) -> Array:
    """Return texts as strings; TensorFlow's users give bytes as well."""
    out: Array = np.empty(array.size, object)
    for at, value in enumerate(array.reshape(-1).tolist()):
        if not isinstance(value, str | bytes):
            raise ModelError(f'the input "{port.name}" holds {value!r:.60}, the network takes texts; give strings')
        out[at] = value.decode() if isinstance(value, bytes) else value
    return _fitting(port, out.reshape(array.shape))


def _fitting(port: Port, array: Array) -> Array:
    if array.ndim == len(port.shape) - 1 and port.shape[-1] == 1:
        array = array[..., None]
    fits = array.ndim == len(port.shape) and all(want in (None, have) for want, have in zip(port.shape, array.shape, strict=True))
    if not fits:
        raise ModelError(f'the input "{port.name}" has shape {array.shape}, the network takes {port.shape} (None: any length); reshape it')
    return array
