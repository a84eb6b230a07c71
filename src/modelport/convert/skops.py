"""Estimators as skops files: their objects as a JSON schema and plain arrays, in which every type is named before it is made."""

from __future__ import annotations

import importlib
import warnings

from modelport.convert.graph import Candidate
from modelport.errors import MissingExtra, NotConvertible


def skops_file(name: str, estimator: object) -> Candidate:
    """Return an estimator as a skops file.

    ``name``: of the file, for messages.
    Raises: NotConvertible where skops cannot write an object in it, MissingExtra without skops.
    """
    try:
        library = importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{name}: skops files need {error.name}, which is not installed; run: pip install 'modelport[skops]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data: bytes = library.dumps(estimator)
    except Exception as error:  # objects of any class may be in an estimator, and raise anything
        said = f"{type(error).__name__}: {str(error).strip().split(chr(10), 1)[0][:160]}"
        raise NotConvertible(f"{name}: skops cannot write an object in it ({said}); keep the file as it is") from error
    return Candidate(data, "as it was")
