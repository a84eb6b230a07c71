"""Masks that MultiHeadAttention takes off its inputs, as Keras 3 does while it runs.

Its ``call`` removes the masks from the very tensors it is given, so that whatever runs later no longer sees them. What depends
on its output certainly runs later; for anything else beside it the order is chance, so that is not converted.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelport.forms.keras_onnx.fields import not_converted
from modelport.forms.keras_onnx.network import Layer, Network, Ref

Key = tuple[str, int]
_KIND = "MultiHeadAttention"
_KNOWN_SINCE = (3, 15)


def has_lost_mask(network: Network, reader: Key, ref: Ref) -> bool:
    """Tell whether a masked tensor has lost its mask by the time the call ``reader`` takes it.

    Raises: LoadError where that depends on the order in which Keras happens to run, or on its version.
    """
    takers = [key for key in _calls(network) if ref in network.calls[key[0]][key[1]].needed]
    attentions = [key for key in takers if _is_attention(network, key)]
    if not attentions:
        return False
    title = network.members[attentions[0][0]].title
    if network.path and any(ref.layer == item.name for item in network.inputs):
        not_converted(f"{title} over a masked input of a nested network")
    others = [key for key in attentions if key != reader]
    if others and (network.version.major, network.version.minor) < _KNOWN_SINCE:
        not_converted(f"{title} over a masked tensor that other layers take as well")
    for key in others:
        if key in _before(network, reader):
            return True
        if reader not in _before(network, key):
            not_converted(f"{title} beside another layer over the same masked tensor")
    return False


def _is_attention(network: Network, key: Key) -> bool:
    node = network.members[key[0]]
    return isinstance(node, Layer) and node.kind == _KIND


def _calls(network: Network) -> Iterator[Key]:
    for name, calls in network.calls.items():
        yield from ((name, number) for number in range(len(calls)))


def _before(network: Network, key: Key) -> set[Key]:
    """Return every call that a call depends on."""
    found: set[Key] = set()
    stack = [key]
    while stack:
        name, number = stack.pop()
        for ref in network.calls.get(name, ())[number].needed if name in network.calls else ():
            above = (ref.layer, ref.call)
            if above not in found:
                found.add(above)
                stack.append(above)
    return found
