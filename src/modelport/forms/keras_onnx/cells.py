"""RNN over cells: one cell is the recurrent layer of its name, a stack of them is as many layers one upon the other."""

from __future__ import annotations

from dataclasses import replace

from modelport.forms.keras_onnx.fields import Settings, as_dict, as_list, as_text, not_converted
from modelport.forms.keras_onnx.network import Layer

_KINDS = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "SimpleRNN"}
_FLAGS = (
    "name",
    "trainable",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "time_major",
    "unroll",
    "zero_output_for_mask",
)


def with_cells(layer: Layer) -> Layer:
    """Return an RNN as the layer of its one cell, or with the layers of its stack inside; each of these gives its sequence.

    Raises: LoadError for a cell that is not Keras's own, UnreadableFile for settings that Keras would not write.
    """
    spec = as_dict(layer.settings.get("cell"), f"{layer.title}, cell")
    flags = {key: layer.settings.values[key] for key in _FLAGS if key in layer.settings.values}
    if spec.get("class_name") != "StackedRNNCells":
        kind, values = _cell(layer, spec)
        return replace(layer, kind=kind, settings=Settings({**values, **flags}, layer.settings.where), written_as="RNN")
    stack = as_dict(spec.get("config"), layer.title)
    inner: list[tuple[str, Layer]] = []
    used: dict[str, int] = {}
    for item in as_list(stack.get("cells"), f"{layer.title}, cells"):
        kind, values = _cell(layer, as_dict(item, layer.title))
        group = {"LSTM": "lstm_cell", "GRU": "gru_cell", "SimpleRNN": "simple_rnn_cell"}[kind]
        at = used[group] = used.get(group, -1) + 1
        name = f"{group}_{at}" if at else group
        settings = Settings({**values, **flags, "return_sequences": True, "go_backwards": False}, f'layer "{layer.name}", cell "{name}"')
        inner.append((f"cell/cells/{name}", Layer((*layer.path, name), f"{kind}Cell", settings, layer.version)))
    return replace(layer, inner=tuple(inner))


def _cell(layer: Layer, spec: dict[str, object]) -> tuple[str, dict[str, object]]:
    kind = as_text(spec.get("class_name"), f"{layer.title}, class of the cell")
    if kind not in _KINDS:
        not_converted(f"{layer.title} over the cell {kind[:60]}")
    return _KINDS[kind], as_dict(spec.get("config"), f"{layer.title}, cell")
