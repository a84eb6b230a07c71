"""A manifest as the text of ``model.toml``, with what could be added to it as comments.

Written by hand, as the standard library only reads TOML and the comments are half of its use. Deterministic: equal manifests
give equal bytes. ``manifest.read`` of the text gives the equal manifest, but for what TOML cannot say: a category that is null
is left out, as ``nullable`` says the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from modelport.bundle.manifest import FORMAT, Artifact, Batching, Manifest
from modelport.errors import ManifestError
from modelport.schema import Field

_BARE = re.compile(r"[A-Za-z0-9_-]+")
# TOML 1.0: what a basic string must escape. Lone surrogates are no Unicode scalar values and cannot be written at all.
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f]')
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_FULL = 16  # more columns than this are written one a line

_HOOKS = """\
# Your own code around the model; each is "file.py:function" in this folder.
# [hooks]
# preprocess = "hooks.py:preprocess"    # preprocess(x) returns what the model takes
# predict = "hooks.py:predict"          # predict(model, x) instead of the model's own
# postprocess = "hooks.py:postprocess"  # postprocess(y, x) returns the answer, one row for each row"""
_RESOURCES = """\
# Other files that hooks need, by the name of the argument: .json a dict, .npy and .npz arrays, anything else a path.
# [resources]
# words = "words.json\""""
_API = """\
# Paths of this model's own, besides the standard ones. The greeting is answered with "API working".
# [api]
# route = "/{name}"
# greeting = "/apitest\""""
_BATCH = """\
# How requests may be computed together. If one row changes the answer for another, write `batch = false` at the top instead.
# [batch]
# max_rows = 256
# max_wait_ms = 0.0"""
_SAMPLE = """\
# Rows that the model takes, for the prediction it is tried with before it serves; by default zeros, then ones.
# [sample]
{columns}"""
_SERVE = """\
# Settings of `modelport serve` for this model; flags and environment variables win over them.
# [serve]
# port = 5005"""


def render(manifest: Manifest) -> str:
    """Return the text of a ``model.toml``. Raises: ManifestError for what TOML cannot hold."""
    blocks = [_top(manifest)]
    if manifest.artifact is not None:
        blocks.append(_artifact(manifest.artifact))
    blocks.append(_table("resources", manifest.resources) or _RESOURCES)
    blocks.append(_table("hooks", manifest.hooks) or _HOOKS)
    api = {"route": manifest.route, "greeting": manifest.greeting}
    given = {key: value for key, value in api.items() if value is not None}
    blocks.append(_table("api", given) or _API.format(name=manifest.name))
    for key, items in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if len(items) <= _FULL:
            blocks += [f"[[{key}]]\n{_pairs(_facts(item))}" for item in items]
    if manifest.batch.is_enabled:
        blocks.append(_batch(manifest.batch))
    blocks.append(_table("sample", manifest.sample) or _SAMPLE.format(columns=_example(manifest.inputs)))
    blocks.append(_table("serve", manifest.serve) or _SERVE)
    return "\n\n".join(blocks) + "\n"


def _top(manifest: Manifest) -> str:
    facts: dict[str, object] = {"format": FORMAT, "name": manifest.name, "version": manifest.version}
    if manifest.description:
        facts["description"] = manifest.description
    if manifest.task is not None:
        facts["task"] = manifest.task
    if manifest.classes:
        facts["classes"] = manifest.classes
    if not manifest.batch.is_enabled:
        facts["batch"] = False
    lines = [_pairs(facts)]
    for key, items in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if len(items) > _FULL:
            rows = "".join(f"    {_inline(_facts(item))},\n" for item in items)
            lines.append(f"{key} = [\n{rows}]")
    return "\n".join(lines)


def _artifact(artifact: Artifact) -> str:
    lines = ["[artifact]", f"path = {_text(artifact.path)}"]
    if artifact.sha256:
        lines.append(f"sha256 = {_text(artifact.sha256)}  # checked before the file is opened")
    lines.append(f"trust = {_value(artifact.trust)}  # names that a pickle may import beyond the built-in list")
    return "\n".join(lines)


def _batch(batch: Batching) -> str:
    if batch == Batching():
        return _BATCH
    return _table("batch", {"max_rows": batch.max_rows, "max_wait_ms": batch.max_wait_ms})


def _example(inputs: Sequence[Field]) -> str:
    if sum(math.prod(length or 1 for length in item.shape) for item in inputs) > _FULL:
        return "# column = [1.0, 2.0]  # and so on, a list for every column"
    return "\n".join(f"# {_key(item.name)} = {_value([_plausible(item)])}" for item in inputs) or "# column = [1.0, 2.0]"


def _plausible(item: Field) -> object:
    known = [value for value in item.categories if value is not None]
    value: object = 0.5 if item.type.startswith("float") else {"string": "some text", "bool": True}.get(item.type, 1)
    value = known[0] if known else value
    for length in reversed(item.shape):
        value = [value] * (2 if length is None else length)
    return value


def _facts(item: Field) -> dict[str, object]:
    facts = item.to_dict()
    if item.shape:
        facts["shape"] = [-1 if length is None else length for length in item.shape]
    if item.categories:
        facts["categories"] = [value for value in item.categories if value is not None]
    return facts


def _table(name: str, facts: Mapping[str, object]) -> str:
    return f"[{name}]\n{_pairs(facts)}" if facts else ""


def _pairs(facts: Mapping[str, object]) -> str:
    return "\n".join(f"{_key(key)} = {_value(value)}" for key, value in facts.items())


def _inline(facts: Mapping[str, object]) -> str:
    return "{ " + ", ".join(f"{_key(key)} = {_value(value)}" for key, value in facts.items()) + " }"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return _inline(value)
    raise ManifestError(f"{value!r} cannot be written to model.toml; expected a string, number, boolean, list or table")


def _text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ManifestError(f"{text!r} cannot be written to model.toml, as it is no valid Unicode; rename it") from error
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    found = match.group()
    return _SHORT.get(found) or f"\\u{ord(found):04x}"
