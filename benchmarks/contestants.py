"""Who is measured on what: each contestant's command line, its environment, and the numbers of connections.

A rival gets its best usual settings: ONNX Runtime with one thread in place of scikit-learn where it can be had, orjson, uvloop; mosec's
batches are measured at three limits and its best counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
HOME = Path(os.environ.get("MODELPORT_BENCH_HOME", ROOT / ".cache" / "bench"))
MODELS = HOME / "models"
EXAMPLE = ROOT / "examples" / "sentiment"
GRAPH = MODELS / "sentiment" / "sentiment.onnx"
BULK = "tabular, 100 rows"
TEXTS = "sentiment, 16 texts"
PATHS = {"sentiment": "/sentiment", TEXTS: "/sentiment"}
ONE_CORE, BOTH_CORES = "0", "0,1"


def python(name: str) -> str:
    """Return the interpreter of one of the environments that peers/install.sh makes."""
    return str(HOME / name / "bin" / "python")


def file_of(workload: str) -> Path:
    """Return what is served: the saved model, or the example's folder."""
    return EXAMPLE if workload in PATHS else MODELS / workload.split(",")[0] / "best_model.pkl"


@dataclass(frozen=True)
class Contestant:
    """One server on one workload. ``tolerance``: how far a probability may be off, which float32 graphs are. ``cores``: as taskset's."""

    name: str
    workload: str
    connections: tuple[int, ...]
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    tolerance: float = 1e-9
    cores: str = ONE_CORE

    @property
    def path(self) -> str:
        """Where it takes predictions."""
        return PATHS.get(self.workload, "/predict")

    def line(self, port: int) -> list[str]:
        """Give the command line that starts it."""
        return [part.replace("{port}", str(port)) for part in self.command]


def modelport(workload: str, connections: tuple[int, ...], *flags: str) -> Contestant:
    """Return modelport as its users run it, with checks, metrics and limits on."""
    exe = str(HOME / "modelport" / "bin" / "modelport")
    name = "modelport" + ("" if not flags else f" {' '.join(flags)}")
    workers = () if "--workers" in flags else ("--workers", "1")
    line = (exe, "serve", str(file_of(workload)), "--host", "127.0.0.1", "--port", "{port}", *workers, *flags)
    return Contestant(name, workload, connections, line)


def on_both(contestant: Contestant) -> Contestant:
    """Return it with both cores, one of which wrk uses as well."""
    return replace(contestant, name=f"{contestant.name} (both cores)", cores=BOTH_CORES)


def flask(workload: str, connections: tuple[int, ...]) -> Contestant:
    """Return Flask's own server around the library."""
    return Contestant(
        "flask", workload, connections, (python("flask"), str(HERE / "peers" / "flask_app.py"), "{port}", str(file_of(workload)))
    )


def fastapi(workload: str, connections: tuple[int, ...], *, is_onnx: bool = False) -> Contestant:
    """Return FastAPI on uvicorn, around the library or around ONNX Runtime."""
    target = file_of(workload).with_suffix(".onnx") if is_onnx else file_of(workload)
    line = (python("fastapi"), str(HERE / "peers" / "fastapi_app.py"), "{port}", str(target))
    return Contestant("fastapi + onnxruntime" if is_onnx else "fastapi", workload, connections, line, {}, 1e-4 if is_onnx else 1e-9)


def mosec(workload: str, connections: tuple[int, ...], batch: int) -> Contestant:
    """Return mosec around ONNX Runtime, with batches of at most so many requests (0: none)."""
    graph = GRAPH if workload == "sentiment" else file_of(workload).with_suffix(".onnx")
    line = (python("mosec"), str(HERE / "peers" / "mosec_app.py"), "--address", "127.0.0.1", "--port", "{port}", "--log-level", "warning")
    env = {"MODEL": str(graph), "BATCH": str(batch), "EXAMPLE": str(EXAMPLE)}
    return Contestant(f"mosec + onnxruntime, batch {batch}", workload, connections, line, env, 1e-4)


CONTESTANTS = (
    modelport("tabular", (64, 16, 1)),
    modelport("tabular", (64, 1), "--isolation", "process"),
    flask("tabular", (64, 1)),
    fastapi("tabular", (64, 16, 1), is_onnx=True),
    *(mosec("tabular", (64, 16), batch) for batch in (16, 32, 64)),
    mosec("tabular", (1,), 0),
    modelport(BULK, (16,)),
    fastapi(BULK, (16,), is_onnx=True),
    mosec(BULK, (16,), 32),
    modelport("forest", (64,)),
    flask("forest", (64,)),
    mosec("forest", (64,), 32),
    *(make(workload, (64,)) for workload in ("histogram", "mixed", "text") for make in (modelport, fastapi)),
    modelport("sentiment", (64, 1)),
    flask("sentiment", (1,)),  # 64 connections it answers with time-outs; at one it is at its best
    mosec("sentiment", (64,), 32),
    mosec("sentiment", (64,), 64),
)

STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CURVE = (
    modelport("tabular", STEPS),
    mosec("tabular", STEPS, 32),
    fastapi("tabular", STEPS, is_onnx=True),
    flask("tabular", STEPS[:5]),
)
"""Latency against load."""

TWO_CORES = (
    modelport(TEXTS, (16,)),
    on_both(modelport(TEXTS, (16,), "--workers", "2")),
    on_both(modelport(TEXTS, (16,), "--workers", "2", "--fronts", "2")),
    modelport("sentiment", (64,)),
    on_both(modelport("sentiment", (64,), "--workers", "2")),
    on_both(modelport("sentiment", (64,), "--workers", "2", "--fronts", "2")),
    modelport("forest", (64,)),
    on_both(modelport("forest", (64,))),
    on_both(modelport("forest", (64,), "--workers", "2", "--fronts", "2")),
    modelport("tabular", (64,)),
    on_both(modelport("tabular", (64,))),
    on_both(modelport("tabular", (64,), "--workers", "2", "--fronts", "2")),
)
"""What a second core brings: the first of each workload has one core to itself, the others have both, beside wrk."""
