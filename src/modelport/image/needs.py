"""What a model needs to answer, as requirements: found in what its file says of itself, its bundle's hooks, and requirements.txt."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

from modelport.bundle.folder import Bundle
from modelport.errors import ManifestError, MissingExtra, UsageError
from modelport.formats.base import Report

REQUIREMENTS = "requirements.txt"
_EXTRAS = {"pickle": (), "keras": ("keras",), "onnx": ("onnx",), "skops": ("skops",), "xgboost": ("xgboost",), "lightgbm": ("lightgbm",)}
_BY_MODULE = {"sklearn": "sklearn", "joblib": "sklearn", "scipy": "sklearn", "xgboost": "xgboost", "lightgbm": "lightgbm"}
_TREES = re.compile(r"Tree|Forest|Boost|XGB|LGBM|Booster")
_FRAMES = ("ColumnTransformer", "FunctionTransformer")
# What decides numbers, so that the version here, which read the file, is the one in the image.
_HELD = ("scikit-learn", "lightgbm", "xgboost-cpu", "xgboost", "skops")
_ONE = r"(?:===|[<>=!~]=|[<>])\s*[0-9A-Za-z.*+!_-]+"
_PLAIN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._, -]+\])?\s*(?:{_ONE}(?:\s*,\s*{_ONE})*)?\s*(?:;(?:(?!\s-)[^#])*)?\Z")
_MARKER = re.compile(r"""sys_platform\s*(==|!=)\s*['"](\w+)['"]\Z""")
_ROWS = ("ndarray", "Columns")


def requirements(bundle: Bundle, report: Report | None) -> tuple[str, ...]:
    """Return requirements in pip's words: modelport's own, the model's libraries, the hooks' and the bundle's.

    Raises: MissingExtra if modelport does not know its own; ManifestError for a requirements.txt with more than requirements.
    """
    found = [*own(frozenset(_extras(report)))]
    if _takes_frames(bundle, report):
        found.append("pandas>=2.2")
    found += _listed(bundle.root / REQUIREMENTS) if bundle.is_folder else []
    return tuple(dict.fromkeys(_held(item) for item in found))


def own(extras: frozenset[str]) -> tuple[str, ...]:
    """Return what modelport itself needs on Linux with some extras. Raises: MissingExtra if it is not installed as a package."""
    try:
        listed = metadata.requires("modelport") or []
    except metadata.PackageNotFoundError as error:
        raise MissingExtra("modelport is not installed as a package, which says what it needs; run: pip install modelport") from error
    out = []
    for text in listed:
        name, _, marker = (part.strip() for part in text.partition(";"))
        terms = [term.strip() for term in marker.split(" and ")] if marker else []
        wanted = [term for term in terms if "extra ==" in term]
        if wanted and not any(f"'{extra}'" in wanted[0] or f'"{extra}"' in wanted[0] for extra in extras):
            continue
        if all(_is_for_linux(term.strip("()")) for term in terms if term not in wanted) and not name.startswith("modelport["):
            out.append(name)
    return tuple(out)


def imported(bundle: Bundle) -> dict[str, str]:
    """Return the modules that hook files import from elsewhere than Python and the bundle: module to file."""
    found: dict[str, str] = {}
    for name in _hook_files(bundle):
        for node in ast.walk(_parsed(bundle.root / name)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            for module in (text.partition(".")[0] for text in modules):
                is_here = any((bundle.root / f"{module}{end}").exists() for end in ("", ".py"))
                if module and module not in sys.stdlib_module_names and module != "modelport" and not is_here:
                    found.setdefault(module, name)
    return found


def _extras(report: Report | None) -> set[str]:
    if report is None:
        return set()
    if report.plan in ("keras", "tf_keras"):
        return {"tensorflow"}
    extras = set(_EXTRAS.get(report.format, ()))
    extras |= {_BY_MODULE[top] for top in (item.name.partition(".")[0] for item in report.globals) if top in _BY_MODULE}
    if report.library == "scikit-learn":
        extras.add("sklearn")
    if any(_TREES.search(step.type) for step in report.steps) or _TREES.search(report.model):
        extras.add("onnx")  # walks trees for the compiled form
    return extras


def _takes_frames(bundle: Bundle, report: Report | None) -> bool:
    """Whether something builds a pandas.DataFrame: a hook that says nothing else, or an estimator that chooses columns by name."""
    if report is not None:
        types = {step.type.rpartition(".")[2] for step in report.steps} | {report.model}
        if types & set(_FRAMES) or any(item.name.startswith("pandas.") for item in report.globals):
            return True
    return any(_wants_frame(bundle, name, spec) for name, spec in bundle.manifest.hooks.items())


def _wants_frame(bundle: Bundle, name: str, spec: str) -> bool:
    if name == "load":
        return False
    file, _, function = spec.partition(":")
    for node in ast.walk(_parsed(bundle.root / file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            arguments = [*node.args.posonlyargs, *node.args.args]
            rows = arguments[:2] if name == "postprocess" else arguments[1:2] if name == "predict" else arguments[:1]
            notes = [ast.unparse(item.annotation) if item.annotation is not None else "" for item in rows]
            return not notes or any(not any(word in note for word in _ROWS) for note in notes)
    return True  # a class, or something imported: nobody knows without running it


def _hook_files(bundle: Bundle) -> list[str]:
    return list(dict.fromkeys(spec.partition(":")[0] for spec in bundle.manifest.hooks.values()))


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ManifestError(f"{path}: cannot be read as Python ({type(error).__name__}); correct the hook's file") from error


def _listed(path: Path) -> list[str]:
    """Read a requirements.txt of plain requirements. Raises: ManifestError for options, paths and addresses."""
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__}); write one requirement a line") from error
    out = []
    for at, line in enumerate(lines, 1):
        text = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if text and not _PLAIN.match(text):
            raise ManifestError(
                f"{path}, line {at}: {text[:80]!r} is no requirement such as pandas>=2.2; options, paths and addresses are not taken"
            )
        out += [text] if text else []
    return out


def _held(text: str) -> str:
    name = re.split(r"[<>=!~;\[ ]", text, maxsplit=1)[0]
    if name.lower() not in _HELD or "==" in text:
        return text
    try:
        return f"{name}=={metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return text


def _is_for_linux(marker: str) -> bool:
    found = _MARKER.match(marker)
    if found is None:
        raise UsageError(f"modelport's own package has the marker {marker!r}, which is not understood; install a released version")
    return (found[2] == "linux") == (found[1] == "==")
