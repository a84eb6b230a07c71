"""Rules about the source as a whole: what may be imported where, how large a file may be, what every module must say."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "modelport"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CORE = PACKAGE / "engine" / "core.py"
FRAMEWORKS = {
    "catboost",
    "h5py",
    "joblib",
    "keras",
    "lightgbm",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "scipy",
    "skops",
    "sklearn",
    "tensorflow",
    "torch",
    "xgboost",
}


def _loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and give the top-level modules that it loaded."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stderr.splitlines()[-1].split()}


def _imports(tree: ast.AST) -> list[tuple[int, str]]:
    """Give line and absolute module of every import in a module, type-checking ones and those inside functions included."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." * node.level + (node.module or "")))
    return found


def _is_module(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_importing_the_package_loads_nothing_but_the_standard_library() -> None:
    began = time.perf_counter()
    loaded = _loaded_by("import modelport")
    print(f"a fresh interpreter with import modelport: {time.perf_counter() - began:.3f} s")
    assert loaded - {"modelport"} <= sys.stdlib_module_names


def test_help_loads_no_framework_and_no_numpy() -> None:
    """`modelport --help` is answered from the command tree alone."""
    loaded = _loaded_by(
        "sys.argv = ['modelport', '--help']\nfrom modelport.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "modelport" in loaded
    assert loaded.isdisjoint(FRAMEWORKS)


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_a_file_is_one_idea_of_at_most_300_lines_and_says_which(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_a_function_has_at_most_40_lines_and_5_parameters(path: Path) -> None:
    """What outgrows this is two things. The receiver of a method does not count."""
    over = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            lines, taken = node.end_lineno - node.lineno + 1, len(names) - (names[:1] in (["self"], ["cls"]))
            if lines > 40 or taken > 5:
                over.append(f"{node.name}: {lines} lines, {taken} parameters")
    assert over == []


@pytest.mark.parametrize("path", SOURCES, ids=_named)
def test_inside_the_package_names_come_from_the_module_that_defines_them(path: Path) -> None:
    """`from modelport import x` for a name that is no module goes through the public names, and loads all that is behind them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [
        (node.lineno, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.level > 0 or node.module == "modelport")
        for alias in node.names
        if node.level > 0 or not (_is_module(alias.name) or alias.name == "__version__")
    ]
    assert names == []


def test_the_layers_of_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_worker_core_is_written_for_python_3_6() -> None:
    """It runs in an old model's own environment: the grammar of 3.6, and no import but the standard library and numpy."""
    tree = ast.parse(CORE.read_text(encoding="utf-8"), feature_version=(3, 6))
    modules = {module.split(".")[0] for _, module in _imports(tree)}
    assert modules <= (sys.stdlib_module_names | {"numpy"}) - {"__future__", "dataclasses"}
