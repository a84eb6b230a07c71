"""Names that no model file needs and that can run programs, import code, or reach files and the network.

The allow-list is the gate; this list only decides what is said about a name that is not on it. A dangerous one is refused
whatever ``--trust`` says, an unknown one may be trusted by its exact name.
"""

from __future__ import annotations

import re
import sys

# Of the standard library, only these modules hold classes that a user may reasonably store in a model of his own.
_PLAIN_STANDARD = {
    "collections",
    "copyreg",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "numbers",
    "statistics",
    "uuid",
    "zoneinfo",
}
_TRUSTABLE = {("re", "_compile"), ("functools", "cmp_to_key")}
_PYTHON2 = {
    "__builtin__",
    "commands",
    "popen2",
    "exceptions",
    "cPickle",
    "urllib2",
    "httplib",
    "thread",
    "new",
    "imp",
    "distutils",
    "os2",
    "ce",
}
_LOADERS = {
    "IPython",
    "_distutils_hack",
    "cffi",
    "cloudpickle",
    "dill",
    "execnet",
    "jinja2",
    "loky",
    "numba",
    "paramiko",
    "pip",
    "pkg_resources",
    "psutil",
    "pytest",
    "_pytest",
    "requests",
    "setuptools",
    "sh",
    "yaml",
}
_PATTERNS = (
    r"numpy\.(f2py|testing|distutils|ctypeslib|compat|lib\.(_?npyio|format|utils|_?datasource|introspect))(\.|_impl|\Z).*",
    r"numpy\..*\.?(load|save|savez|savez_compressed|savetxt|loadtxt|genfromtxt|fromfile|fromregex|tofile|memmap|open_memmap|DataSource)",
    r"numpy\..*\.?(vectorize|apply_along_axis|apply_over_axes|fromfunction|frompyfunc|piecewise|source|info|lookfor|runstring|getattr)",
    r"numpy\..*\._ufunc_reconstruct",
    r"joblib\..*",
    r"sklearn\.(datasets|externals|_build_utils)\..*",
    r"sklearn\..*\.(import_module|check_call|Memory|Parallel|delayed)",
    r"pandas\..*\.?(read_\w+|eval|query|to_\w+|ExcelFile|HDFStore)",
    r"pandas\.(io|util|core\.computation|plotting)\..*",
    r"scipy\.(io|weave|datasets|misc)\..*",
    r"torch\.(load|hub|jit|package|multiprocessing|utils|serialization|storage)\b.*",
    r"tensorflow\..*\.(load_model|load|py_function|numpy_function|read_file|write_file|loads)",
    r"keras\..*\.(load_model|get_file|deserialize|func_load|Lambda|TFSMLayer)",
)
_DANGEROUS = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_STANDARD = frozenset(sys.stdlib_module_names) | _PYTHON2


def is_dangerous(module: str, name: str) -> bool:
    """Say whether a global that is not on the allow-list is one to refuse for good."""
    if (module, name) in _TRUSTABLE:
        return False
    top = module.partition(".")[0]
    if top == "__main__":
        return False
    if top in _STANDARD:
        return top not in _PLAIN_STANDARD
    return top in _LOADERS or bool(_DANGEROUS.fullmatch(f"{module}.{name}"))
