"""What a model needs, what is locked, what pip is asked for, and orders that cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from modelport.bundle.folder import open_bundle
from modelport.errors import ManifestError, MissingExtra, NeedsTrust, TargetRefused, UnreadableFile, UsageError
from modelport.formats import inspect
from modelport.formats.base import Options, Report
from modelport.image import bytecode, dependencies, lock, needs, own
from modelport.image.build import build, dockerfile
from modelport.image.lock import Lock, Pin
from modelport.image.order import Credentials, Order
from modelport.image.python import Python
from modelport.image.sign import sign
from modelport.image.trim import trim

SENTIMENT = Path(__file__).parents[2] / "examples" / "sentiment"
HERE = Python("/usr/bin/python3", (sys.version_info[0], sys.version_info[1]))


def names(requirements: tuple[str, ...]) -> set[str]:
    return {text.partition(">")[0].partition("=")[0].partition("[")[0] for text in requirements}


def of(path: Path) -> set[str]:
    bundle = open_bundle(path)
    return names(needs.requirements(bundle, None if bundle.artifact is None else inspect(bundle.artifact, Options())))


def test_a_converted_keras_model_ships_no_keras() -> None:
    found = of(SENTIMENT)
    assert {"h5py", "onnxruntime", "pandas", "numpy", "uvloop"} <= found
    assert not found & {"keras", "tensorflow", "tf_keras", "scikit-learn", "pyarrow"}


def test_a_pickle_ships_the_scikit_learn_that_read_it(saved_model: Callable[..., object]) -> None:
    path = saved_model("iris").path
    found = needs.requirements(open_bundle(path), inspect(path, Options()))
    assert f"scikit-learn=={metadata.version('scikit-learn')}" in found
    assert "joblib" in names(found)
    assert not names(found) & {"pandas", "onnxruntime", "h5py"}


def test_pandas_is_there_where_columns_are_chosen_by_name(saved_model: Callable[..., object]) -> None:
    assert "pandas" in of(saved_model("mixed").path)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"format": "pickle", "library": "scikit-learn", "model": "RandomForestClassifier"}, {"scikit-learn", "joblib", "onnxruntime"}),
        ({"format": "xgboost", "library": "xgboost", "model": "Booster"}, {"xgboost-cpu", "onnxruntime"}),
        ({"format": "lightgbm", "library": "lightgbm", "model": "Booster"}, {"lightgbm", "onnxruntime"}),
        ({"format": "skops", "library": "scikit-learn", "model": "Ridge"}, {"skops", "scikit-learn"}),
        ({"format": "onnx", "library": "onnx", "model": "graph"}, {"onnxruntime"}),
        ({"format": "keras", "library": "keras", "model": "Functional", "plan": "keras"}, {"keras", "tensorflow"}),
    ],
)
def test_each_kind_of_file_ships_its_library(toy_bundle: Path, model: dict[str, str], expected: set[str]) -> None:
    report = Report(library_version=None, **model)
    assert expected <= names(needs.requirements(open_bundle(toy_bundle), report))


def test_hooks_that_take_columns_need_no_pandas_and_others_do(toy_bundle: Path) -> None:
    assert "pandas" not in of(toy_bundle)
    code = (toy_bundle / "toy.py").read_text()
    (toy_bundle / "toy.py").write_text(code.replace("x: Columns", "x"))
    assert "pandas" in of(toy_bundle)
    (toy_bundle / "toy.py").write_text("from elsewhere import predict, load\nimport toy2, numpy.linalg, json\n")
    (toy_bundle / "toy2.py").write_text("")
    assert "pandas" in of(toy_bundle)
    assert set(needs.imported(open_bundle(toy_bundle))) == {"elsewhere", "numpy"}
    (toy_bundle / "toy.py").write_text("def (")
    with pytest.raises(ManifestError, match="cannot be read as Python"):
        of(toy_bundle)


def test_the_bundle_s_own_requirements_count(toy_bundle: Path) -> None:
    (toy_bundle / "requirements.txt").write_text("# words\nrich >= 13, <99  # nice\n\nattrs[tests]~=23.0 ; python_version > '3.0'\n")
    found = needs.requirements(open_bundle(toy_bundle), None)
    assert {"rich >= 13, <99", "attrs[tests]~=23.0 ; python_version > '3.0'"} <= set(found)


@pytest.mark.parametrize(
    "line",
    ["-e .", "--index-url https://x", "git+https://x/y", "x @ file:///x", "./x.whl", "x==1 --pre", "x; a --b", "$(id)", "-r other.txt"],
)
def test_a_requirements_txt_with_more_than_requirements_is_refused(toy_bundle: Path, line: str) -> None:
    (toy_bundle / "requirements.txt").write_text(f"rich\n{line}\n")
    with pytest.raises(ManifestError, match=r"line 2: .* is no requirement"):
        needs.requirements(open_bundle(toy_bundle), None)


def test_a_lock_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pins = (Pin("a", "1.0+cpu", "0" * 64), Pin("b.c", "2!1", "f" * 64))
    written = Lock("3.11", ("a", "b"), {"linux/amd64": pins, "linux/arm64": ()})
    (tmp_path / "lock").write_bytes(written.to_json())
    assert lock.read(tmp_path / "lock") == written


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(format=2),
        lambda data: data.pop("python"),
        lambda data: data.update(platforms=[]),
        lambda data: data["platforms"]["linux/amd64"][0].update(sha256="x"),
        lambda data: data["platforms"]["linux/amd64"][0].update(name="a\n--index-url=x"),
        lambda data: data["platforms"]["linux/amd64"][0].update(version="1 --pre"),
    ],
)
def test_a_lock_that_is_none_is_refused(tmp_path: Path, change: Callable[[dict], object]) -> None:
    data = json.loads(Lock("3.11", (), {"linux/amd64": (Pin("a", "1", "0" * 64),)}).to_json())
    change(data)
    (tmp_path / "lock").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="--lock"):
        lock.read(tmp_path / "lock")


def test_wheels_are_asked_for_by_machine_and_c_library() -> None:
    assert dependencies.platform_tags(HERE, "linux/amd64")[0] == "manylinux_2_28_x86_64"
    assert all(tag.endswith("_aarch64") for tag in dependencies.platform_tags(HERE, "linux/arm64"))
    musl = replace(HERE, libc="musl")
    assert dependencies.platform_tags(musl, "linux/arm64") == ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64"]


def test_what_pip_cannot_find_is_said_in_its_own_words(require_module: Callable[[str], object]) -> None:
    require_module("pip")
    with pytest.raises(TargetRefused, match=r"pip finds no libraries for linux/amd64: .*numpy==0\.0\.0") as refused:
        dependencies.resolve(["numpy==0.0.0"], HERE, "linux/amd64")
    assert "\n" not in refused.value.message


def test_without_pip_it_is_said_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=120)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(MissingExtra, match="-m ensurepip"):
        dependencies.resolve(["numpy"], HERE, "linux/amd64")


def test_tests_and_sources_are_trimmed_and_the_lists_of_files_stay_true(tmp_path: Path) -> None:
    kept = ["numpy/__init__.py", "numpy/tests/_natype.py", "numpy/core.so", "tests/x.py", "a-1.dist-info/METADATA"]
    gone = ["numpy/core.pyi", "numpy/tests/test_x.py", "numpy/tests/data/x.npy", "numpy/tests/conftest.py", "numpy/x.pyx"]
    for name in (*kept, *gone, "numpy/__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    record = tmp_path / "a-1.dist-info" / "RECORD"
    left = sorted([*kept, "a-1.dist-info/RECORD"])
    record.write_text("".join(f"{name},,\n" for name in (*gone, *left, "../../bin/f2py")))
    trim(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == left
    assert sorted(record.read_text().split()) == [f"{name},," for name in left]


def test_byte_code_follows_from_the_source_and_is_used(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.py").write_text("NAMES = frozenset({'a', 'b', 'c', 'd'})\n\n\ndef f(x):\n    return x in {'a', 'b', 'q'}\n")
    (source / "old.py").write_text("print 'x'\n")
    outs = [tmp_path / "a", tmp_path / "b"]
    for out in outs:
        bytecode.compile_folder(Path(sys.executable), source, out)
    files = [sorted(path for path in out.rglob("*.pyc")) for out in outs]
    assert [path.name.partition(".")[0] for path in files[0]] == ["one"]
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / files[0][0].name).write_bytes(files[0][0].read_bytes())
    (source / "one.py").write_text("raise SystemExit('compiled anew')\n")
    code = "import one; print(one.f('q'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_modelport_s_own_files_come_from_where_it_runs() -> None:
    with own.entries((sys.version_info[0], sys.version_info[1])) as found:
        paths = {entry.path for entry in found}
    assert {"opt/modelport/lib/modelport/__init__.py", "opt/modelport/lib/modelport/engine/core.py"} <= paths
    assert any(path.endswith(".pyc") for path in paths)
    assert not any(path.endswith(".pyi") for path in paths)
    with own.entries((2, 7)) as found:  # of which nobody has an interpreter
        assert not any(entry.path.endswith(".pyc") for entry in found)
    assert len(own.digest()) == 64


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"output": ""}, "an image has to go somewhere"),
        ({"output": "x.zip"}, "--output must be"),
        ({"tag": "A B"}, "-t must be a reference"),
        ({"platforms": ()}, "--platform must name"),
        ({"platforms": ("linux/amd64", "linux/amd64")}, "--platform must name"),
        ({"platforms": ("linux/amd64", "linux/arm64"), "engine": "podman"}, "one platform at a time"),
        ({"platforms": ("linux/riscv64",)}, "--platform must be"),
        ({"sign_key": Path("k")}, "signs what is pushed"),
        ({"sign_key": Path("k"), "is_pushed": True, "engine": "docker"}, "goes with --engine native"),
        ({"level": 0}, "--level"),
    ],
)
def test_an_order_that_cannot_be_is_one_sentence(toy_bundle: Path, root_tar: Path, facts: dict[str, object], said: str) -> None:
    order = Order(**{"file": toy_bundle, "tag": "localhost/x:1", "base": str(root_tar), "output": "oci:x", **facts})
    with pytest.raises(UsageError, match=said):
        build(order)


def test_a_file_that_would_not_be_served_becomes_no_image(tmp_path: Path, root_tar: Path, cached: Path) -> None:
    import pickle

    order = Order(tmp_path / "x.pkl", "localhost/x:1", base=str(root_tar), output="oci:x")
    with pytest.raises(UnreadableFile):
        build(order)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Credentials("a", "b")))
    with pytest.raises(NeedsTrust, match="--trust"):
        build(order)


def test_the_dockerfile_is_shown_without_building(toy_bundle: Path, root_tar: Path, cached: Path) -> None:
    said: list[str] = []
    text = dockerfile(Order(toy_bundle, "localhost/x:1", base=str(root_tar), engine="podman", labels={"a": "$b"}), said.append)
    assert text.startswith("FROM localhost/modelport-base:")
    assert 'a="\\$b"' in text
    assert "dependencies.tar" in said[-1]


def test_a_lock_of_another_python_or_platform_is_refused(toy_bundle: Path, root_tar: Path, cached: Path, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order = Order(toy_bundle, "localhost/x:1", base=str(root_tar), output=f"oci:{tmp_path}/x", lock=path)
    for found, said in ((Lock("3.9", ()), "is for Python 3.9"), (Lock("3.11", ()), "names no libraries for linux/amd64")):
        path.write_bytes(found.to_json())
        with pytest.raises(UsageError, match=said):
            build(order)


def test_an_image_of_files_alone_can_be_used_as_a_base_and_is_the_same_again(
    toy_bundle: Path, root_tar: Path, cached: Path, tmp_path: Path
) -> None:
    """With an empty lock nothing is fetched; hooks that then miss a library are told of."""
    path = tmp_path / "lock"
    path.write_bytes(Lock("3.11", (), {"linux/amd64": ()}).to_json())
    (toy_bundle / "toy.py").write_text((toy_bundle / "toy.py").read_text() + "\nimport absent\n")
    said: list[str] = []
    order = Order(toy_bundle, "localhost/x:1", base=str(root_tar), output=str(tmp_path / "x.tar"), lock=path)
    first = build(order, said.append)
    assert any("imports absent, which is not in the image" in text for text in said)
    again = build(replace(order, output=f"oci:{tmp_path}/x"))
    assert again.digest == first.digest
    for base in (f"oci:{tmp_path}/x", str(tmp_path / "x.tar")):
        assert len(build(replace(order, base=base, output=f"oci:{tmp_path}/y")).layers) == 9
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(UsageError, match="no OCI layout"):
        build(replace(order, output=f"oci:{tmp_path}/full"))
    with pytest.raises(UsageError, match="cannot be written"):
        build(replace(order, output=f"{tmp_path}/absent/x.tar"))


@pytest.mark.parametrize("arguments", [["genrsa", "2048"], ["ecparam", "-name", "secp384r1", "-genkey", "-noout"]])
def test_keys_of_other_kinds_are_refused(tmp_path: Path, require_program: Callable[..., str], arguments: list[str]) -> None:
    key = tmp_path / "key"
    key.write_bytes(subprocess.run([require_program("openssl"), *arguments], check=True, capture_output=True).stdout)
    with pytest.raises(UsageError, match="P-256 was expected"):
        sign(key, b"x")
    key.write_text("no key")
    with pytest.raises(UsageError, match="is no private key"):
        sign(key, b"x")
    with pytest.raises(UsageError, match="cannot be read"):
        sign(tmp_path / "absent", b"x")
