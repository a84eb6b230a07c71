"""Data as YAML, so that a value stays the value it is for every reader.

Readers of YAML disagree on what a bare word is: ``no`` is false for one and a text for the other, ``1e3`` a text or a number, ``0x1``,
``1:30`` and ``~`` the same. So a text stands bare only where it can be nothing else, and in quotes otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import yaml

from modelport.errors import UsageError

Data: TypeAlias = "Mapping[str, Data] | Sequence[Data] | str | int | float | bool | None"

_BARE = re.compile(r"/?[A-Za-z][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*")
# Words of YAML 1.1 and 1.2 that are no texts.
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Write equal parts out: a reader by eye has no use for anchors."""
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # PyYAML's signature
        """Indent lists below their key."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise UsageError(f"{text[:80]!r} holds bytes that are no UTF-8 text, which YAML cannot carry; correct it")
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    # Not where a line's first column would have to be counted: readers differ there.
    is_block = "\n" in text.strip("\n") and not text[0].isspace() and all(char == "\n" or char.isprintable() for char in text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if is_block else '"')


_Dumper.add_representer(str, _text)


def document(data: Data) -> str:
    """Return a YAML document; mappings keep their order. Raises: UsageError for a text that is none."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31)


def stream(documents: Iterable[Data]) -> str:
    """Return several documents as one text."""
    return "---\n".join(document(each) for each in documents)
