"""LightGBM text models: read without the library, and written anew from what was understood.

The library never sees a byte of the file that was not checked; the parameters of training, which a file also lists, are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from modelport.errors import UnreadableFile
from modelport.formats import lightgbm_trees
from modelport.formats.lightgbm_trees import fault, single
from modelport.schema import Scalar

OBJECTIVES = frozenset(
    {
        "binary",
        "cross_entropy",
        "cross_entropy_lambda",
        "custom",
        "fair",
        "gamma",
        "huber",
        "lambdarank",
        "mape",
        "multiclass",
        "multiclassova",
        "poisson",
        "quantile",
        "rank_xendcg",
        "regression",
        "regression_l1",
        "tweedie",
        "xendcg",
        "xentlambda",
        "xentropy",
    }
)
MAX_FEATURES = 100_000
_MAX_CLASSES = 10_000
_MAX_TREES = 1_000_000
_VERSIONS = (b"v2", b"v3", b"v4")
_ARGUMENT = re.compile(r"(sqrt|(sigmoid|num_class|alpha|c|max_delta_step|rho|tweedie_variance_power):[0-9.eE+-]{1,30})\Z")
_INFO = re.compile(rb"none|\[[-+.\w]{1,40}:[-+.\w]{1,40}\]|-?\d{1,10}(:-?\d{1,10})*")
_PANDAS = b"pandas_categorical:"
_CUT = "is no complete LightGBM model ({}); copy the file again"


@dataclass(frozen=True, slots=True)
class Content:
    """What a LightGBM file holds. ``document``: what the library is given.

    ``outputs``: values a row gets. ``objective`` is "" where the model was trained with a function of the user's own.
    ``categories``: of each feature, None where it has none; ``coded``: those whose categories are numbers only. ``classes``: labels of a
    classifier, in the order of its probabilities.
    """

    version: str
    objective: str
    features: int
    outputs: int
    trees: int
    names: tuple[str, ...]
    categories: tuple[tuple[Scalar, ...] | None, ...]
    coded: frozenset[int]
    document: bytes
    classes: tuple[Scalar, ...] = ()


def read(data: bytes) -> Content:
    """Read and check a whole text model.

    Raises: UnreadableFile if it is cut short or no such model; RefusedFile if it is one that training never makes.
    Cost: about 150 microseconds for each tree.
    """
    lines = iter(data.split(b"\n"))
    header = _header(lines)
    if header.get("version") not in _VERSIONS:
        shown = header.get("version", b"").decode("utf-8", "replace")[:20]
        raise UnreadableFile(f"is a LightGBM model of the version {shown!r}; expected v2, v3 or v4, as LightGBM 2 to 4 write")
    features = single(header, "max_feature_idx", (0, MAX_FEATURES - 1)) + 1
    classes = single(header, "num_class", (1, _MAX_CLASSES))
    outputs = single(header, "num_tree_per_iteration", (1, _MAX_CLASSES), default=classes)
    objective = _objective(header.get("objective", b""), classes, outputs)
    names, infos = _split(header, "feature_names", features), _split(header, "feature_infos", features)
    if not all(_INFO.fullmatch(info) for info in infos):
        raise fault("feature_infos holds something else than ranges and categories")
    trees, rest = _trees(lines, features)
    _check_count(header, len(trees), outputs)
    if b"parameters:" in rest and b"end of parameters" not in rest:
        raise UnreadableFile(_CUT.format("it ends within its parameters"))
    is_asking = [at for at, info in enumerate(infos) if info[:1] not in (b"[", b"n")]
    categories = _categories(rest, features, is_asking)
    text = tuple(name.decode() for name in names)
    return Content(
        version=(header.get("version") or b"").decode(),
        objective=objective,
        features=features,
        outputs=outputs,
        trees=len(trees),
        names=text if len(set(text)) == len(text) and text != tuple(f"Column_{at}" for at in range(features)) else (),
        categories=categories,
        coded=frozenset(at for at in is_asking if categories[at] is None),
        document=_write(header, names, infos, trees, (classes, outputs)),
        classes=tuple(range(max(2, outputs))) if objective == "binary" or objective.startswith("multiclass") else (),
    )


def _check_count(header: Mapping[str, bytes], trees: int, outputs: int) -> None:
    sizes = header.get("tree_sizes")
    if sizes is not None and len(sizes.split()) != trees:
        raise UnreadableFile(_CUT.format(f"{trees} trees, {len(sizes.split())} announced"))
    if not trees or trees % outputs or trees > _MAX_TREES:
        raise fault(f"it has {trees} trees, not a multiple of {outputs} a round")


def _header(lines: Iterator[bytes]) -> dict[str, bytes]:
    """Read the lines before the first tree, which is left to be read: its number goes under "Tree"."""
    found: dict[str, bytes] = {}
    for line in lines:
        name, _, value = line.rstrip(b"\r").partition(b"=")
        key = name.decode("ascii", "replace")
        if key and key in found:
            raise fault(f"its line {key[:40]} is there twice")
        found[key] = value
        if key == "Tree":
            _decoded(found)
            return found
    raise UnreadableFile(_CUT.format("it has no tree"))


def _decoded(header: Mapping[str, bytes]) -> None:
    try:
        b"\n".join(header.values()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableFile(_CUT.format("a name in it is no UTF-8 text")) from error


def _trees(lines: Iterator[bytes], features: int) -> tuple[list[bytes], list[bytes]]:
    """Check all trees; return them, and the lines after them. The line "Tree=0" was read already."""
    trees: list[bytes] = []
    found: dict[str, bytes] = {}
    for line in lines:
        line = line.rstrip(b"\r")
        name, mark, value = line.partition(b"=")
        key = name.decode("ascii", "replace")
        if mark and key != "Tree":
            if key in found:
                raise fault(f"tree {len(trees)}: the line {key[:40]} is there twice")
            found[key] = value
            continue
        if not line:
            continue
        trees.append(lightgbm_trees.check(found, len(trees), features))
        found = {}
        if key != "Tree":
            return trees, [line, *(after.rstrip(b"\r") for after in lines)]
    raise UnreadableFile(_CUT.format("it ends within its trees"))


def _split(header: Mapping[str, bytes], name: str, features: int) -> list[bytes]:
    parts = header.get(name, b"").split(b" ")
    if len(parts) != features or not all(parts):
        raise fault(f"{name} does not name {features} features")
    return parts


def _objective(line: bytes, classes: int, outputs: int) -> str:
    """Return the name of the objective, "" for none. Raises: RefusedFile where it does not belong to the numbers of classes."""
    name, *arguments = line.decode().split() or [""]
    if name and name not in OBJECTIVES:
        raise UnreadableFile(f"its objective {name[:40]!r} is not one that modelport knows; save the model with one of LightGBM's own")
    if not all(_ARGUMENT.match(argument) for argument in arguments):
        raise fault(f"its objective is {line.decode()[:60]!r}")
    told = dict(argument.split(":") for argument in arguments if ":" in argument)
    is_multi = name.startswith("multiclass")
    if is_multi and (told.get("num_class") != str(classes) or classes < 2 or outputs != classes):
        raise fault(f"its objective is {line.decode()[:60]!r} for {classes} classes and {outputs} trees a round")
    if name and name != "custom" and not is_multi and (classes != 1 or outputs != 1):
        raise fault(f"its objective is {name} with {classes} classes and {outputs} trees a round")
    return "" if name == "custom" else name


def _categories(rest: list[bytes], features: int, is_asking: list[int]) -> tuple[tuple[Scalar, ...] | None, ...]:
    """Return the categories of a data frame that the file ends with, where it can be told which features they are of."""
    nothing: tuple[tuple[Scalar, ...] | None, ...] = (None,) * features
    listed = _pandas(rest)
    if not listed:
        return nothing
    prefix = b"[categorical_feature: "
    named = next((line.removeprefix(prefix).removesuffix(b"]") for line in rest if line.startswith(prefix)), b"")
    at = [int(part) for part in named.split(b",") if part.isdigit() and len(part) < 7]
    chosen = next((places for places in (is_asking, at) if len(places) == len(listed) and max(places) < features), None)
    if chosen is None:
        return nothing
    known = dict(zip(chosen, listed, strict=True))
    return tuple(known.get(place) for place in range(features))


def _pandas(rest: list[bytes]) -> list[tuple[Scalar, ...]]:
    line = next((line for line in reversed(rest) if line.startswith(_PANDAS)), None)
    if line is None:
        return []
    try:
        found = json.loads(line.removeprefix(_PANDAS))
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(_CUT.format("its pandas_categorical is no JSON")) from error
    if found is None:
        return []
    is_plain = isinstance(found, list) and all(isinstance(values, list) for values in found)
    if not is_plain or not all(isinstance(value, str | int | float) for values in found for value in values):
        raise fault("its pandas_categorical is not a list of lists of values")
    if any(len(set(map(repr, values))) != len(values) for values in found):
        raise fault("a category of its pandas_categorical is there twice")
    return [tuple(values) for values in found]


def _write(header: Mapping[str, bytes], names: list[bytes], infos: list[bytes], trees: list[bytes], counts: tuple[int, int]) -> bytes:
    classes, outputs = counts
    head = [
        b"tree",
        b"version=" + header["version"],
        b"num_class=%d" % classes,
        b"num_tree_per_iteration=%d" % outputs,
        b"label_index=%d" % single(header, "label_index", (0, 2**31 - 1), default=0),
        b"max_feature_idx=%d" % (len(names) - 1),
    ]
    if header.get("objective"):
        head.append(b"objective=" + b" ".join(header["objective"].split()))
    if "average_output" in header:
        head.append(b"average_output")
    head += [b"feature_names=" + b" ".join(names), b"feature_infos=" + b" ".join(infos)]
    head += [b"tree_sizes=" + b" ".join(b"%d" % len(tree) for tree in trees), b"", b""]
    linear = any(b"\nis_linear=1\n" in tree for tree in trees)
    tail = b"end of trees\n\nparameters:\n[linear_tree: %d]\n\nend of parameters\n" % linear
    return b"\n".join(head) + b"".join(trees) + tail
