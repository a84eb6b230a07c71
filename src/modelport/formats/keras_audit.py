"""What a Keras configuration may not hold: byte code, other models by path, files by name. Checked before anything is built.

Nothing here would be executed by the conversion anyway; the check is there so that a hostile file is called what it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelport.errors import RefusedFile, UnreadableFile

_DEPTH = 200
_CODE = {
    "Lambda": "holds Python byte code",
    "__lambda__": "holds Python byte code",
    "TFSMLayer": "loads a TensorFlow program from a path",
    "SavedModel": "loads a TensorFlow program from a path",
}
_PATH_KEYS = frozenset(
    {"filepath", "file_path", "filename", "path", "file", "url", "uri", "origin", "directory", "vocabulary", "idf_weights"}
)
_WORD_LISTS = frozenset({"vocabulary", "idf_weights"})
_NAME_KEYS = frozenset({"vocabulary[]", "idf_weights[]", "name", "class_name", "module", "registered_name", "keras_history"})


def audit(config: object) -> None:
    """Raise RefusedFile for code, path-valued fields and absolute names in a configuration; UnreadableFile if it nests too deep."""
    for where, key, value in _strings(config):
        if key == "class_name" and value in _CODE:
            raise RefusedFile(
                f"the {value} layer{where} {_CODE[value]}, which is never run; rebuild the model without it and save it again"
            )
        if key in _PATH_KEYS:
            raise RefusedFile(
                f'the field "{key}"{where} names a file ({value[:60]!r}), which is never opened; save the values inside the model'
            )
        if key not in _NAME_KEYS and (value.startswith(("/", "~", "\\\\")) or "://" in value or "../" in value):
            raise RefusedFile(f'the field "{key}"{where} holds a path ({value[:60]!r}), expected none in a model; save it without')


def _strings(config: object) -> Iterator[tuple[str, str, str]]:
    """Yield (layer it is in, key, string) for every string in a configuration."""
    stack: list[tuple[object, str, str, int]] = [(config, "", "", 0)]
    while stack:
        value, key, where, depth = stack.pop()
        if depth > _DEPTH:
            raise UnreadableFile(f"the configuration nests more than {_DEPTH} deep, which no network does; the file is damaged")
        if isinstance(value, str):
            yield where, key, value
        elif isinstance(value, list):
            inner = f"{key}[]" if key in _WORD_LISTS else key  # a list of words is no path, whatever they are
            stack += [(item, inner, where, depth + 1) for item in value]
        elif isinstance(value, dict):
            where = _named(value) or where
            stack += [(item, str(name), where, depth + 1) for name, item in value.items()]


def _named(value: dict[str, object]) -> str:
    inner = value.get("config")
    name = value.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
    return f' "{name}"' if isinstance(name, str) and "class_name" in value else ""
