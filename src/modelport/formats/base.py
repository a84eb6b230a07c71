"""What a format module offers, as types: how a file is looked at (Report), how it is loaded (Options) and what comes out (Predictor).

A format is a module with two functions, named in the table of ``modelport.formats``::

    inspect(path: Path, options: Options) -> Report      # reads, never executes anything of the file
    load(path: Path, options: Options) -> Predictor      # called in a worker process only
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from modelport.columns import Columns
from modelport.schema import Scalar, Schema

Verdict: TypeAlias = Literal["loadable", "needs_trust", "refused"]
GlobalClass: TypeAlias = Literal["known", "trusted", "dangerous", "unknown", "computed"]
Plan: TypeAlias = Literal["native", "shimmed", "converted", "keras", "tf_keras", "none"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a file may be loaded, as the person at the command line decided.

    ``trust``: exact dotted names allowed beyond the built-in list. ``code``: files or folders whose modules may be imported.
    ``architecture``: the JSON beside a weights-only Keras file. ``threads``: for the runtime, None for its own default.
    """

    trust: frozenset[str] = frozenset()
    code: tuple[Path, ...] = ()
    architecture: Path | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle would import, and what is thought of it."""

    name: str
    kind: GlobalClass


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the estimator tree, or one layer of a network: where it stands, its class, and its parameters shown as text."""

    name: str
    type: str
    parameters: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a file says of itself, found without executing it.

    ``plan``: what ``serve`` would do. ``problem`` and ``cure`` are sentences, empty when there is none.
    ``schema`` is None where only loading can tell. ``companions``: names of other files that the model is made of, beside it.
    ``environment``: the version of scikit-learn under which ``--env auto`` would serve a file that is not served here, or "".
    ``notes``: what is repaired when it is loaded ("shimmed"), so that it answers as on the day it was saved; a sentence each.
    """

    format: str
    library: str
    library_version: str | None
    model: str
    steps: tuple[Step, ...] = ()
    features: tuple[str, ...] = ()
    classes: tuple[Scalar, ...] = ()
    schema: Schema | None = None
    globals: tuple[Global, ...] = ()
    verdict: Verdict = "loadable"
    plan: Plan = "native"
    problem: str = ""
    cure: str = ""
    size_bytes: int = 0
    sha256: str = ""
    companions: tuple[str, ...] = ()
    environment: str = ""
    notes: tuple[str, ...] = ()


class Predictor(Protocol):
    """A loaded artifact.

    ``form`` says which arithmetic answers ("native" the library's own, "onnx" ONNX Runtime on our conversion, …).
    ``native`` is what a user's hook gets as its first argument: the library's object, or one with the same ``predict``
    (and ``predict_proba``), where extra keywords such as ``batch_size`` and ``verbose`` are accepted and ignored.
    """

    @property
    def schema(self) -> Schema:
        """What it takes and answers, as read from the artifact."""
        ...

    @property
    def form(self) -> str:
        """Which arithmetic answers."""
        ...

    @property
    def native(self) -> object:
        """The object that user code knows how to call."""
        ...

    @property
    def is_row_wise(self) -> bool:
        """Whether a row's answer is the same in whatever company; False keeps requests out of each other's batches."""
        ...

    def predict(self, columns: Columns, outputs: Sequence[str] | None) -> Columns:
        """Answer one row for each row.

        Shapes: ``columns`` are the physical ones of ``schema.layout``; the result has the schema's output names, or those asked for.
        Raises: ModelError where the model fails on this input.
        """
        ...
