"""Operations that compare rows with what was learnt of classes and examples: densities, kernels, centres.

Logarithms of densities may be as large as 1e8, and their differences decide: each is computed in the library's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelport.forms.program.steps import Floats, Places, Step
from modelport.forms.program.undecided import MARGIN, Undecided

Function = Callable[..., object]


def gaussian(step: Step) -> Function:
    """A matrix → logarithms of joint densities (rows, k). ``prior`` (k,) logarithms; ``mean`` and ``variance`` (k, width)."""
    prior, mean, variance = step.floats("prior"), step.floats("mean"), step.floats("variance")
    if not mean.shape == variance.shape == (len(prior), mean.shape[1]):
        raise ValueError("prior, mean and variance differ in shape")
    constant = [-0.5 * np.sum(np.log(2.0 * np.pi * own)) for own in variance]
    return lambda x: (
        np.array([a + (b - 0.5 * np.sum(((x - m) ** 2) / v, 1)) for a, b, m, v in zip(prior, constant, mean, variance, strict=True)]).T
    )


def quadratic(step: Step) -> Function:
    """A matrix → −½ (‖(x − mean) @ turn‖² + offset) + prior for each class. ``turn``: one matrix a class, side by side; ``widths``."""
    prior, offset, mean = step.floats("prior"), step.floats("offset"), step.floats("mean")
    turns = np.split(step.floats("turn"), np.cumsum(step.places("widths"))[:-1], axis=1)
    if not len(turns) == len(prior) == len(offset) == len(mean):
        raise ValueError("classes differ in number")
    whole = [np.ascontiguousarray(turn) for turn in turns]
    return lambda x: (
        -0.5 * (np.array([np.sum(((x - m) @ turn) ** 2, axis=1) for m, turn in zip(mean, whole, strict=True)]).T + offset) + prior
    )


def from_logs(step: Step) -> Function:
    """Logarithms of densities (rows, k) → probabilities, by the logarithm of their sum."""
    del step

    def apply(x: Floats) -> Floats:
        highest = x.max(axis=1, keepdims=True)
        out: Floats = np.exp(x - (highest + np.log(np.exp(x - highest).sum(axis=1, keepdims=True))))
        return out

    return apply


def above(step: Step) -> Function:
    """Numbers → 1 where they are above ``threshold``, else 0."""
    threshold = float(step.floats("threshold")[0])
    return lambda x: (x > threshold).astype(np.float64)


def kernel(step: Step) -> Function:
    """A matrix → its kernel with every row of ``examples`` (rows, examples): "linear", "poly", "rbf" or "sigmoid"."""
    examples, gamma = step.floats("examples"), step.number("gamma", 1.0)
    start, degree = step.number("start", 0.0), step.number("degree", 1)
    center = examples.mean(axis=0)  # distances lose less where both begin there
    turned, moved = np.ascontiguousarray(examples.T), np.ascontiguousarray((examples - center).T)
    lengths = (moved**2).sum(axis=0)

    def near(x: Floats) -> Floats:
        x = x - center
        out: Floats = np.exp(-gamma * np.maximum(np.einsum("ij,ij->i", x, x)[:, None] - 2.0 * (x @ moved) + lengths, 0.0))
        return out

    kinds: dict[str, Function] = {
        "linear": lambda x: x @ turned,
        "poly": lambda x: (gamma * (x @ turned) + start) ** degree,
        "rbf": near,
        "sigmoid": lambda x: np.tanh(gamma * (x @ turned) + start),
    }
    return kinds[step.text("kind")]


def nearest(step: Step) -> Function:
    """A matrix → the place of the nearest row of ``centers``; rows that are as near to two are the original's."""
    centers = step.floats("centers")
    if len(centers) < 2:
        raise ValueError("one center decides nothing")

    def find(x: Floats) -> Places:
        apart = ((x[:, None, :] - centers) ** 2).sum(axis=2)
        ordered = np.partition(apart, 1, axis=1)
        if not (ordered[:, 1] - ordered[:, 0] > MARGIN * (1.0 + (x**2).sum(axis=1))).all():
            raise Undecided
        found: Places = apart.argmin(axis=1)
        return found

    return find


def pair_winner(step: Step) -> Function:
    """Scores of each pair of ``count`` classes → the place of the class with the most votes, the first of several.

    A score above 0 is a vote for the pair's first; one next to 0 is the original's to decide.
    """
    first, second = np.triu_indices(int(step.number("count")), 1)
    wins = np.eye(int(step.number("count")))

    def find(x: Floats) -> Places:
        if not (np.abs(x) > MARGIN).all():
            raise Undecided
        found: Places = ((x > 0) @ wins[first] + (x <= 0) @ wins[second]).argmax(axis=1)
        return found

    return find


def pair_scores(step: Step) -> Function:
    """Scores of each pair of ``count`` classes → one a class: its votes, and less than ⅓ by how sure they are."""
    first, second = np.triu_indices(int(step.number("count")), 1)
    wins = np.eye(int(step.number("count")))

    def apply(x: Floats) -> Floats:
        if not (np.abs(x) > MARGIN).all():
            raise Undecided
        votes, sure = (x > 0) @ wins[first] + (x < 0) @ wins[second], x @ (wins[first] - wins[second])
        out: Floats = votes + sure / (3 * (np.abs(sure) + 1))
        return out

    return apply


OPERATIONS: Mapping[str, Callable[[Step], Function]] = {
    "gaussian": gaussian,
    "quadratic": quadratic,
    "from_logs": from_logs,
    "above": above,
    "kernel": kernel,
    "nearest": nearest,
    "pair_winner": pair_winner,
    "pair_scores": pair_scores,
}
