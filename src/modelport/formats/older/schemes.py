"""By which scheme a logistic regression of an older version made its probabilities; apart, because ``inspect`` asks it too."""

from __future__ import annotations

_TWO_SINCE = (0, 20)  # a softmax of two classes where it was asked for; before, a sigmoid


def scheme(multi_class: object, solver: object, made: tuple[int, ...], rows: int | None) -> str:
    """Say how a logistic regression made its probabilities where that is not today's way: "ovr", "multinomial", or "".

    ``rows`` of its coefficients: 1 for two classes. Today two classes are a sigmoid, and more of them a softmax.
    """
    default = "ovr" if made < (0, 22) else "auto"
    chosen = multi_class if isinstance(multi_class, str) else default
    if made >= (1, 8) and not isinstance(multi_class, str):
        return ""
    if rows == 1:
        return "multinomial" if chosen == "multinomial" and made >= _TWO_SINCE else ""
    automatic = ("liblinear", "warn", "newton-cholesky") if made < (1, 6) else ("liblinear",)
    is_ovr = chosen in ("ovr", "warn") or (chosen in ("auto", "deprecated") and solver in automatic)
    return "ovr" if is_ovr else ""
