"""The user's own modules: which file of ``--code`` defines a name that a pickle needs. Reads source text, imports nothing."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from modelport.errors import UsageError

MAIN = "__main__"
_MAX_SOURCE_BYTES = 4 << 20


def find(module: str, name: str, code: Sequence[Path]) -> tuple[str, Path] | None:
    """Return the importable module name and the folder to import it from, for a class or function that ``code`` defines.

    Names of ``__main__`` are looked for in every file given, and in the top level of every folder given.
    Raises: UsageError if a path does not exist, or if more than one file defines a name of ``__main__``.
    """
    if module == MAIN:
        return _find_in_main(name, code)
    relative = Path(*module.split("."))
    for entry in code:
        _check(entry)
        folder = entry if entry.is_dir() else entry.parent
        for candidate in (relative.with_suffix(".py") if relative.name else relative, relative / "__init__.py"):
            path = folder / candidate
            if (entry.is_dir() or path == entry) and path.is_file() and name in _defined(path):
                return module, folder
    return None


def is_installed(module: str) -> bool:
    """Say whether the library that a module belongs to is installed; nothing of it is imported."""
    top = module.partition(".")[0]
    try:
        return top != MAIN and importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _find_in_main(name: str, code: Sequence[Path]) -> tuple[str, Path] | None:
    files: list[Path] = []
    for entry in code:
        _check(entry)
        files += sorted(entry.glob("*.py")) if entry.is_dir() else [entry]
    found = [path for path in dict.fromkeys(files) if path.stem.isidentifier() and name in _defined(path)]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UsageError(f"{name} is defined in {names}; name the one file to use with --code FILE")
    return (found[0].stem, found[0].parent) if found else None


def _check(entry: Path) -> None:
    if not entry.exists():
        raise UsageError(f"--code {entry}: does not exist; give the folder or file that holds the model's own classes")


def _defined(path: Path) -> set[str]:
    """The classes and functions that a file's top level defines itself; what it imports from elsewhere is not among them."""
    if path.stat().st_size > _MAX_SOURCE_BYTES:
        return set()
    try:
        tree = ast.parse(path.read_bytes(), filename=path.name)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"--code {path}: is no Python that this interpreter reads ({error})") from error
    blocks: list[ast.AST] = [tree]
    names = set[str]()
    while blocks:
        for node in ast.iter_child_nodes(blocks.pop()):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                blocks.append(node)
    return names
