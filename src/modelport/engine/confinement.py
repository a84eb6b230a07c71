"""How a worker is held, as the front sees it: whether at all, what is opened up for it, and which variables it is given.

The front's environment is where cloud credentials live, so a worker gets only variables that libraries are known to read.
"""

from __future__ import annotations

import os
import re
import site
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from modelport.bundle.environment import Interpreter
from modelport.engine.process import Command
from modelport.engine.sandbox import Policy

Setting: TypeAlias = Literal["auto", "require", "off"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_PASSED = re.compile(
    r"PATH|LANG|LANGUAGE|LC_\w+|TZ|TZDIR|USER|LOGNAME|TERM|PYTHON\w*|VIRTUAL_ENV|CONDA_\w+|\w+_NUM_THREADS|VECLIB_\w+|OPENBLAS_\w+|OMP_\w+|"
    r"MKL_\w+|KMP_\w+|GOTO_\w+|BLIS_\w+|MALLOC_\w+|KERAS_BACKEND|TF_CPP_MIN_LOG_LEVEL|TF_ENABLE_ONEDNN_OPTS|ORT_DISABLE_TELEMETRY|(LD|DYLD)_LIBRARY_PATH|LD_PRELOAD|"
    r"MODELPORT_\w+"
)
_OF_GPU = re.compile(r"(CUDA|NVIDIA|HIP|ROCR|NCCL)_\w+")
_HERE = Path(__file__).parent
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL")


@dataclass(frozen=True, slots=True)
class Confinement:
    """What is asked for. ``read``: paths that the model needs; ``environment``: variables it is given beyond the known ones.

    ``folder``: where a bundle's code finds the files that it names without a folder.
    """

    setting: Setting = "auto"
    read: tuple[Path, ...] = ()
    environment: tuple[str, ...] = ()
    network: bool = False
    gpu: bool = False
    folder: Path | None = None

    @property
    def exceptions(self) -> str:
        """What was opened up beyond the model's own files, in words without names; empty for nothing."""
        opened = [name for name, is_open in (("network", self.network), ("gpu", self.gpu)) if is_open]
        count = len(self.environment)
        return ", ".join([*opened, *([f"{count} variable{'s' * (count > 1)}"] if count else [])])


def command(confinement: Confinement, threads: int, place: Path) -> Command:
    """Return how to start a worker: its arguments, its environment, and a folder of its own in ``place`` that goes when it goes.

    Raises: OSError if no folder can be made.
    """
    if confinement.setting == "off":
        return Command(environment=with_threads(os.environ, threads), folder=confinement.folder)
    scratch = Path(tempfile.mkdtemp(prefix="worker-", dir=place))
    folder = "" if confinement.folder is None else str(confinement.folder)
    policy = replace(_policy(confinement, confinement.read, scratch), folder=folder)
    arguments = (sys.executable, "-P", "-m", "modelport.engine.confined", policy.to_json())
    # It starts in a folder with nothing to import, as an empty entry of PYTHONPATH means the current one.
    return Command(arguments, with_threads(scrubbed(os.environ, confinement, scratch), threads), scratch, place)


def foreign_command(confinement: Confinement, threads: int, place: Path, interpreter: Interpreter) -> Command:
    """Return how to start a worker in an old model's own environment, which reads its interpreter's folders and the worker's code.

    Raises: OSError if no folder can be made.
    """
    scratch = Path(tempfile.mkdtemp(prefix="worker-", dir=place))
    policy = ""
    if confinement.setting != "off":
        held = _policy(confinement, (*confinement.read, *interpreter.places, _HERE), scratch)
        policy = replace(held, execute=(str(interpreter.program),)).to_json()
    arguments = (sys.executable, "-P", "-m", "modelport.engine.launcher", policy, str(interpreter.program), str(_HERE / "foreign.py"))
    return Command(arguments, with_threads(scrubbed(os.environ, confinement, scratch), threads), scratch, place)


def _policy(confinement: Confinement, read: tuple[Path, ...], scratch: Path) -> Policy:
    return Policy(tuple(str(path.resolve()) for path in read), (str(scratch),), confinement.network, confinement.gpu)


def with_threads(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return the variables with those that tell the numeric libraries how many threads to use, and to report nothing; set ones stay."""
    # ONNX Runtime would write an identifier of this machine to the home folder, and report its use.
    return dict.fromkeys(_THREADS, str(threads)) | {"ORT_DISABLE_TELEMETRY": "1"} | dict(environment)


def scrubbed(environment: Mapping[str, str], confinement: Confinement, scratch: Path) -> dict[str, str]:
    """Return what a confined worker sees of the environment. Its home and its temporary folder are ``scratch``."""
    kept = {name: value for name, value in environment.items() if _is_passed(name, confinement)}
    own = {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PYTHONUSERBASE": site.getuserbase(),  # packages installed with pip --user are found from the real home
        # Its locks need /dev/shm, where other programs keep theirs: joblib then computes in one thread, and does not complain.
        "JOBLIB_MULTIPROCESSING": "0",
    }
    return own | {name: kept[name] for name in kept if name not in own or name in confinement.environment}


def _is_passed(name: str, confinement: Confinement) -> bool:
    if name in confinement.environment:
        return True
    if confinement.gpu and _OF_GPU.fullmatch(name):
        return True
    return bool(_PASSED.fullmatch(name)) and not _SECRET.search(name)
