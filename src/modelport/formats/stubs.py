"""Stubs: Python files with the classes and functions that a pickle needs and nobody here has, to be filled in by whoever knows.

What the file shows of each is written down: its attributes as comments, whether it stands in a pipeline or answers. Nothing is
guessed of what it computed, so every body raises an error that says what to write.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelport.errors import UsageError
from modelport.formats import allow, arrays, sources, streams
from modelport.formats.base import Options
from modelport.formats.identify import kind_of as format_of
from modelport.formats.scan import Scan, scan
from modelport.formats.summary import attribute, children, type_name
from modelport.formats.symbols import Block, Group, Node, Ref, Symbol, Text

MAIN_FILE = "from_main.py"
_MOST_OBJECTS = 200_000
_MOST_CHARACTERS = 60


@dataclass(slots=True)
class _Need:
    """A name that is missing: whether objects are made of it, with which attributes, and what they are for."""

    name: str
    is_made: bool = False
    is_step: bool = False
    attributes: dict[str, str] = field(default_factory=dict)


def stubs(path: Path, options: Options) -> dict[str, str]:
    """Return a file name to a file's text for each module that a pickle needs and that is neither installed nor given.

    Raises: UnreadableFile, UsageError where the file is no pickle.
    """
    if format_of(path) != "pickle":
        raise UsageError(f"{path.name}: is no pickle, so it needs no code of anybody's own; leave --stub out")
    content = streams.read(path)
    found = scan(content.data, allow.judge(options.trust, options.code), file_bytes=content.size_bytes if content.compression else None)
    modules: dict[str, dict[str, _Need]] = {}
    for ref in found.refs:
        is_writable = not any(keyword.iskeyword(part) for part in (*ref.module.split("."), ref.name))
        if ref.kind == "unknown" and is_writable and not sources.is_installed(ref.module):
            modules.setdefault(ref.module, {})[ref.name] = _Need(ref.name)
    _look(found, modules)
    is_sklearn = any(ref.module.startswith("sklearn.") for ref in found.refs)
    return {_file_of(module): _text(path.name, module, list(needs.values()), is_sklearn) for module, needs in sorted(modules.items())}


def _file_of(module: str) -> str:
    return MAIN_FILE if module == sources.MAIN else "/".join(module.split(".")) + ".py"


def _look(found: Scan, modules: dict[str, dict[str, _Need]]) -> None:
    for node in _nodes(found):
        need = modules.get(node.maker.module, {}).get(node.maker.name)
        if need is not None:
            need.is_made = True
            for name, value in _attributes(node):
                need.attributes.setdefault(name, value)
        chain = [child for name, child in children(node) if isinstance(child, Node)]
        is_chain = isinstance(attribute(node, "steps"), list)
        for child in chain[:-1] if is_chain else chain:
            step = modules.get(child.maker.module, {}).get(child.maker.name)
            if step is not None and (is_chain or attribute(node, "transformers") or attribute(node, "transformer_list")):
                step.is_step = True


def _nodes(found: Scan) -> Iterator[Node]:
    """Yield every object that the file would make, each once."""
    waiting: list[Symbol] = [found.root, *found.nodes]
    seen = set[int]()
    while waiting and len(seen) < _MOST_OBJECTS:
        symbol = waiting.pop()
        if id(symbol) in seen or symbol is None or isinstance(symbol, str | int | float | bytes | Ref | Text):
            continue
        seen.add(id(symbol))
        if isinstance(symbol, Node):
            yield symbol
            waiting += [*symbol.args, symbol.state, *symbol.items.values()]
        elif isinstance(symbol, Block):
            waiting.append(symbol.root)
        elif isinstance(symbol, dict):
            waiting += symbol.values()
        elif isinstance(symbol, list | tuple):
            waiting += symbol
        elif isinstance(symbol, Group):
            waiting += symbol.members


def _attributes(node: Node) -> Iterator[tuple[str, str]]:
    states = node.state if isinstance(node.state, tuple) else (node.state,)
    for state in states:
        for name, value in (state if isinstance(state, dict) else {}).items():
            if isinstance(name, str) and name.isidentifier():
                yield name, _shown(value)


def _shown(value: Symbol) -> str:
    if value is None or isinstance(value, str | int | float | bytes):
        text = repr(value)
        return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"
    if isinstance(value, Ref):
        return value.dotted
    layout = arrays.layout(value) if isinstance(value, Block | Node) else None
    if layout is not None:
        return f"array of {layout[0]}, shape {layout[1]}"
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict) else ""
    return f"{type_name(value)}{size}"


def _text(file: str, module: str, needs: Sequence[_Need], is_sklearn: bool) -> str:  # noqa: FBT001  # the last of four facts
    called = "the script or notebook that saved the model" if module == sources.MAIN else f"the module {module}"
    classes = [need for need in needs if need.is_made or need.name[:1].isupper()]
    bases = ["BaseEstimator"] if classes and is_sklearn else []
    bases += ["TransformerMixin"] if bases and any(need.is_step for need in classes) else []
    name = re.sub(r"[^A-Za-z0-9._-]", "?", file)  # whoever made the file may have named it, and this becomes code
    lines = [f'"""What {name} needs of {called}; fill in the bodies, then add --code with this file or its folder."""', ""]
    lines += [f"from sklearn.base import {', '.join(bases)}", ""] if bases else []
    for need in needs:
        lines += ["", *(_class(need, is_sklearn=is_sklearn) if need in classes else _function(need))]
    return "\n".join(lines) + "\n"


def _class(need: _Need, *, is_sklearn: bool) -> list[str]:
    bases = ("(TransformerMixin, BaseEstimator)" if need.is_step else "(BaseEstimator)") if is_sklearn else ""
    lines = [f"class {need.name}{bases}:"]
    lines += ["    # Its attributes in the file:", *(f"    #   {name}: {_safe(shown)}" for name, shown in sorted(need.attributes.items()))]
    method = "transform" if need.is_step else "predict"
    lines += ["", f"    def {method}(self, X):", f"        {_raise(f'{need.name}.{method}')}", ""]
    return lines


def _function(need: _Need) -> list[str]:
    return ["", f"def {need.name}(*arguments, **keywords):", f"    {_raise(need.name)}", ""]


def _raise(what: str) -> str:
    return f'raise NotImplementedError("{what} is a stub: write what it did on the day the model was saved")'


def _safe(shown: str) -> str:
    """Keep what a file says within its comment: no line may begin by it."""
    return "".join(letter if letter.isprintable() else "?" for letter in shown)
