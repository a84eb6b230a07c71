"""Writing ``model.toml``: whatever a manifest says is read back as it was."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.bundle.manifest import HOOKS, Artifact, Batching, Manifest, parse
from modelport.bundle.write import render
from modelport.errors import ManifestError
from modelport.schema import ROLES, TASKS, TYPES, Field

TEXT = st.text(max_size=12)
NAME = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(lambda name: name not in (".", ".."))
ROUTE = st.from_regex(r"(/[A-Za-z0-9._~-]{1,5}){1,3}", fullmatch=True)
SCALAR = TEXT | st.integers() | st.floats(allow_nan=False) | st.booleans()
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6)
FIELD = st.builds(
    Field,
    name=st.text(min_size=1, max_size=12),
    type=st.sampled_from(TYPES),
    shape=st.lists(st.none() | st.integers(0, 300), max_size=3).map(tuple),
    role=st.sampled_from(ROLES),
    nullable=st.booleans(),
    max_length=st.none() | st.integers(0, 10**6),
    categories=st.lists(SCALAR, max_size=4).map(tuple),
    closed=st.booleans(),
    description=TEXT,
)
FIELDS = st.lists(FIELD, max_size=3).map(tuple) | st.lists(FIELD, min_size=17, max_size=20).map(tuple)
BATCHING = st.just(Batching(is_enabled=False)) | st.builds(
    Batching, max_rows=st.integers(1, 10**6), max_wait_ms=st.floats(0, 60_000), is_enabled=st.just(True)
)
MANIFEST = st.builds(
    Manifest,
    name=NAME,
    version=NAME,
    description=TEXT,
    artifact=st.none()
    | st.builds(
        Artifact,
        path=st.text(min_size=1, max_size=12),
        sha256=st.just("") | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        trust=st.lists(TEXT, max_size=3).map(tuple),
    ),
    resources=st.dictionaries(TEXT, TEXT, max_size=3),
    hooks=st.dictionaries(st.sampled_from(HOOKS), TEXT),
    route=st.none() | ROUTE,
    greeting=st.none() | ROUTE,
    inputs=FIELDS,
    outputs=FIELDS,
    task=st.none() | st.sampled_from(TASKS),
    classes=st.lists(SCALAR, max_size=4).map(tuple),
    batch=BATCHING,
    sample=st.dictionaries(TEXT, st.lists(JSON, max_size=3), max_size=3),
    serve=st.dictionaries(TEXT, JSON, max_size=3),
)


@settings(deadline=None, max_examples=50)
@given(MANIFEST)
def test_what_is_written_is_read_back_equal(manifest: Manifest) -> None:
    assert parse(tomllib.loads(render(manifest)), "other") == manifest


@settings(deadline=None, max_examples=50)
@given(MANIFEST)
def test_equal_manifests_give_equal_text(manifest: Manifest) -> None:
    assert render(manifest) == render(parse(tomllib.loads(render(manifest)), "other"))


def test_every_commented_example_is_valid_where_it_stands() -> None:
    """Whoever takes the comment signs away gets a manifest that reads."""
    text = render(Manifest("iris", artifact=Artifact("iris.pkl"), inputs=(Field("a b", "float64", (3, None)), Field("t", "string"))))
    prose = ("# Your", "# Other", "# Paths", "# How", "# Rows", "# Settings")
    lines = [line.removeprefix("# ") for line in text.splitlines() if not line.startswith(prose)]
    manifest = parse(tomllib.loads("\n".join(lines)), "iris")
    assert set(manifest.hooks) == {"preprocess", "predict", "postprocess"}
    assert (manifest.route, manifest.greeting) == ("/iris", "/apitest")
    assert manifest.sample == {"a b": [[[0.5, 0.5]] * 3], "t": ["some text"]}
    assert manifest.serve == {"port": 5005}
    assert manifest.batch == Batching()


def test_a_null_category_is_left_out() -> None:
    """TOML has no null, and ``nullable`` says the same."""
    field = Field("town", "string", nullable=True, categories=("Cork", None), closed=True)
    manifest = parse(tomllib.loads(render(Manifest("m", inputs=(field,)))), "m")
    assert manifest.inputs[0].categories == ("Cork",)
    assert manifest.inputs[0].nullable


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (Manifest("m", description="\ud800"), "Unicode"),
        (Manifest("m", classes=(None,)), "None"),
        (Manifest("m", sample={"a": [{1}]}), r"\{1\}"),
    ],
)
def test_what_toml_cannot_hold_is_refused(manifest: Manifest, found: str) -> None:
    with pytest.raises(ManifestError, match=found):
        render(manifest)
