"""From the JSON that Keras writes (model_config, config.json, to_json) to a Network, for both generations of the format."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelport.errors import UnreadableFile
from modelport.forms.keras_onnx.calls import parse_calls, parse_refs, settle_calls
from modelport.forms.keras_onnx.cells import with_cells
from modelport.forms.keras_onnx.fields import Settings, as_dict, as_list, as_shape, as_text, not_converted
from modelport.forms.keras_onnx.network import Call, Input, Layer, Network, Path, Ref, Version

PROJECTING = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")
NETWORKS = ("Sequential", "Functional", "Model")
_WRAPPERS = ("Bidirectional", "TimeDistributed", "SpectralNormalization", *PROJECTING)
_NEVER_TRAINABLE = ("InputLayer", "SpatialDropout", "Discretization")
"""The layers whose settings leave "trainable" out, as those of operations do."""
_TEXTS = ("TextVectorization", "StringLookup")
_DEPTH = 32


def parse_version(text: str | None, document: Mapping[str, object]) -> Version:
    """Read ``keras_version``; where a file has none, the marks of the format tell the generation."""
    match = re.match(r"(\d+)\.(\d+)", text or "")
    if match:
        return Version(int(match[1]), int(match[2]), is_tf=(text or "").endswith("tf") or (match[1] == "2" and int(match[2]) >= 4))
    return Version(3, 0) if "build_config" in document or "batch_shape" in repr(document)[:20000] else Version(2, 2)


def parse(document: Mapping[str, object], version: Version) -> Network:
    """Return the network that ``document`` ({"class_name": …, "config": …}) describes.

    Raises: UnreadableFile for what Keras would not write, LoadError for what is not converted.
    """
    node = _node(as_dict(document, "the configuration"), (), version, 0)
    if isinstance(node, Layer):
        not_converted(f"a model of the class {node.kind}, which is neither Sequential nor functional,")
    if not node.inputs or any(not item.shape for item in node.inputs):
        raise UnreadableFile(
            "the network does not say the shape of its input, as it was saved before it was built; build it and save it again"
        )
    return node


def _node(spec: dict[str, object], path: Path, version: Version, depth: int) -> Layer | Network:
    if depth > _DEPTH:
        raise UnreadableFile(f"networks are nested more than {_DEPTH} deep, found in the configuration; the file is damaged")
    where = f'layer "{"/".join(path)}"' if path else "the configuration"
    kind = as_text(spec.get("class_name"), f"{where}, class name")
    config = spec.get("config")
    if kind == "Sequential":
        return _sequential({"layers": config} if isinstance(config, list) else as_dict(config, where), path, version, depth)
    if kind in NETWORKS:
        return _functional(as_dict(config, where), path, version, depth)
    values = as_dict(config, where)
    if version.major >= 3 and "trainable" not in values and not kind.startswith(_NEVER_TRAINABLE):
        kind = f"ops.{kind}"  # an operation such as x != 0, recorded between the layers
    layer = Layer(path, kind, Settings(values, f"{where} ({kind})"), version, (), _is_trainable(values))
    if kind == "RNN":
        return with_cells(layer)
    if kind not in _WRAPPERS:
        return layer
    return Layer(path, kind, layer.settings, version, _wrapped(layer, depth), layer.is_trainable)


def _is_trainable(values: Mapping[str, object]) -> bool:
    return values.get("trainable", True) is not False


def _wrapped(layer: Layer, depth: int) -> tuple[tuple[str, Layer | Network], ...]:
    if layer.kind in PROJECTING:
        return _projections(layer)
    spec = as_dict(layer.settings.get("layer"), layer.title)
    if layer.kind in ("TimeDistributed", "SpectralNormalization"):
        return (("layer", _node(spec, (*layer.path, "layer"), layer.version, depth + 1)),)
    forward = _node(spec, (*layer.path, "forward_layer"), layer.version, depth + 1)
    second = layer.settings.get("backward_layer")
    if second is None:
        values = as_dict(spec.get("config"), layer.title)
        second = {**spec, "config": {**values, "go_backwards": values.get("go_backwards", False) is not True}}
    backward = _node(as_dict(second, layer.title), (*layer.path, "backward_layer"), layer.version, depth + 1)
    return ("forward_layer", forward), ("backward_layer", backward)


def _projections(layer: Layer) -> tuple[tuple[str, Layer], ...]:
    """Return the dense layers that a MultiHeadAttention makes itself, so that they are in no configuration."""
    mark = "" if layer.version.major >= 3 and layer.kind == "MultiHeadAttention" else "_"
    values = {"bias_axes": "d" if layer.settings.flag("use_bias", True) else None}
    made = []
    for role in ("query", "key", "value", "output"):
        path = (*layer.path, f"{role}_dense")
        settings = Settings(values, f'layer "{"/".join(path)}" (EinsumDense)')
        made.append((f"{mark}{role}_dense", Layer(path, "EinsumDense", settings, layer.version)))
    return tuple(made)


def _sequential(config: dict[str, object], path: Path, version: Version, depth: int) -> Network:
    members: dict[str, Layer | Network] = {}
    calls: dict[str, tuple[Call, ...]] = {}
    given: Input | None = None
    specs = [as_dict(item, "a layer of the configuration") for item in as_list(config.get("layers"), "the list of layers")]
    names = [_name_of(spec, f"{spec.get('class_name')}_{at}".lower()) for at, spec in enumerate(specs)]
    at = Ref("", 0, 0)
    for spec, name in zip(specs, names, strict=True):
        if spec.get("class_name") == "InputLayer" and given is None:
            given = _input(spec, name)
            at = Ref(name, 0, 0)
            continue
        node = _node(spec, (*path, name), version, depth + 1)
        if given is None:
            given = _implied_input(spec, node, config)
            at = Ref(given.name, 0, 0)
        if name in members or name == given.name:
            raise UnreadableFile(f'two layers are called "{name}", found in the configuration; the file is damaged')
        members[name] = node
        calls[name] = (Call((at,)),)
        at = Ref(name, 0, 0)
    if given is None:
        raise UnreadableFile("the network has no layers, found in the configuration; the file is damaged")
    return Network(path, "Sequential", members, calls, (given,), (at,), version, _is_trainable(config))


def _name_of(spec: Mapping[str, object], fallback: str) -> str:
    config = spec.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    name = name or spec.get("name")
    return name if isinstance(name, str) and name else fallback


def _input(spec: Mapping[str, object], name: str) -> Input:
    config = as_dict(spec.get("config"), f'input "{name}"')
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    return Input(name, _dtype(config), as_shape(shape, f'input "{name}", shape'))


def _dtype(config: Mapping[str, object]) -> str:
    value = config.get("dtype") or "float32"
    if isinstance(value, dict):  # a policy object
        value = as_dict(value.get("config"), "dtype").get("name")
    return as_text(value, "dtype")


def _implied_input(spec: dict[str, object], node: Layer | Network, config: Mapping[str, object]) -> Input:
    """Return the input of a Sequential that has no InputLayer: its first layer, or the model, says the shape."""
    values = spec.get("config") if isinstance(spec.get("config"), dict) else {}
    values = as_dict(values, node.name)
    shape = values.get("batch_input_shape") or values.get("batch_shape") or config.get("build_input_shape")
    if shape is None and isinstance(node, Network):
        return Input(f"{node.name}_input", node.inputs[0].dtype, node.inputs[0].shape)
    dtype = _dtype(values) if "batch_input_shape" in values else "float32"
    dtype = "string" if spec.get("class_name") in _TEXTS else dtype
    return Input(f"{node.name}_input", dtype, as_shape(shape or [], f'the input of layer "{node.name}"'))


def _functional(config: dict[str, object], path: Path, version: Version, depth: int) -> Network:
    members: dict[str, Layer | Network] = {}
    calls: dict[str, tuple[Call, ...]] = {}
    inputs: dict[str, Input] = {}
    if "layers" not in config:
        not_converted("a subclassed model, whose file does not hold its layers,")
    for item in as_list(config["layers"], "the list of layers"):
        spec = as_dict(item, "a layer of the configuration")
        name = as_text(spec.get("name") or _name_of(spec, ""), "a layer's name")
        if name in members or name in inputs:
            raise UnreadableFile(f'two layers are called "{name}", found in the configuration; the file is damaged')
        if spec.get("class_name") == "InputLayer":
            inputs[name] = _input(spec, name)
            continue
        members[name] = _node(spec, (*path, name), version, depth + 1)
        calls[name] = parse_calls(spec.get("inbound_nodes", []), f'layer "{name}"')
    outputs = parse_refs(config.get("output_layers"), "the list of outputs")
    order = [ref.layer for ref in parse_refs(config.get("input_layers"), "the list of inputs")]
    if missing := [name for name in order if name not in inputs]:
        raise UnreadableFile(f'the input "{missing[0]}" is not among the layers, found in the configuration; the file is damaged')
    calls, outputs = settle_calls(members, calls, outputs, version)
    return Network(path, "Functional", members, calls, tuple(inputs[name] for name in order), outputs, version, _is_trainable(config))
