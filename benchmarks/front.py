"""What the front costs by itself: a request's way through it without the kernel, and beside fixed answers of nginx and uvicorn.

    python benchmarks/front.py            # microseconds a request, best of many interleaved slices, and what share each stage has
    python benchmarks/front.py --load     # requests/s of an echo model, nginx and a bare ASGI function, server on core 0, wrk on core 1

The echo model is a scikit-learn transformer that changes nothing, served as users would. A pure Python loop is timed in between: on a
machine whose speed drifts, compare its nanoseconds first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pickle
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from load import quietest
from servers import Server

CONNECTIONS = (1, 16, 64)
SLICES = 60
REQUESTS = 320
WIDTH = 4
ROW = [1.0, 2.5, -3.0, 4.0]
ASGI = """
async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"[]"})
"""
NGINX = """
worker_processes 1; daemon off; pid PLACE/pid; error_log PLACE/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path PLACE; proxy_temp_path PLACE; fastcgi_temp_path PLACE;
       uwsgi_temp_path PLACE; scgi_temp_path PLACE;
       server { listen 127.0.0.1:PORT; location / { default_type application/json; return 200 "[]"; } } }
"""


class Nowhere(asyncio.Transport):
    """A transport that counts answers and drops them."""

    answers = 0

    def write(self, data: bytes) -> None:
        """Take an answer."""
        del data
        Nowhere.answers += 1

    def is_closing(self) -> bool:
        """Never."""
        return False

    def get_write_buffer_size(self) -> int:
        """Everything is taken at once."""
        return 0


def loop_ns() -> float:
    """Time a pure Python loop: nanoseconds a turn."""
    began, total = time.perf_counter(), 0
    for at in range(20_000):
        total += at & 3
    return (time.perf_counter() - began) / 20_000 * 1e9


async def without_kernel() -> None:
    """Push requests through connections by hand, batches of as many as there are connections."""
    import numpy as np

    from modelport.columns import Columns
    from modelport.engine.batcher import BatchLimits
    from modelport.engine.engine import Engine
    from modelport.engine.executor import Identity
    from modelport.engine.inline import Inline
    from modelport.engine.models import Models
    from modelport.forms.program.form import Form, open_form
    from modelport.forms.program.steps import Program, Step
    from modelport.http.app import build
    from modelport.schema import Field, Schema

    names = tuple(Field(f"x{at}", "float64") for at in range(WIDTH))
    schema = Schema(names, (Field("features", "float64", (WIDTH,)),), "transformer", is_named=False)
    source = {"width": WIDTH, "sources": [["#float64", list(range(WIDTH)), list(range(WIDTH))]], "is_whole": True}
    rows = np.array([ROW])
    form = Form(
        schema, schema, Program((Step("numbers", (0,), source),), {"features": 1}), Columns({"#float64": rows}), Columns({"features": rows})
    )
    engine, models = Engine(Identity("echo"), BatchLimits()), Models()
    models.add(engine)
    await engine.start(Inline(form, open_form(form), engine, lambda _: None))
    connect = build(models).connect(asyncio.get_running_loop())
    body = json.dumps([ROW]).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: a:1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    connections = [connect() for _ in range(max(CONNECTIONS))]
    for connection in connections:
        connection.connection_made(Nowhere())
    for count in CONNECTIONS:
        best, base = float("inf"), float("inf")
        turns = max(1, REQUESTS // count)
        for _ in range(SLICES):
            base = min(base, loop_ns())
            began = time.perf_counter()
            for _ in range(turns):
                wanted = Nowhere.answers + count
                for connection in connections[:count]:
                    connection.data_received(head + body)
                while Nowhere.answers < wanted:  # noqa: ASYNC110  # turns of the loop, not time
                    await asyncio.sleep(0)
            best = min(best, (time.perf_counter() - began) / (turns * count))
        print(f"{count:3} at once: {best * 1e6:6.2f} µs a request; a turn of a Python loop {base:.1f} ns")


def under_load(seconds: int, rounds: int) -> None:
    """Load an echo model, nginx and a bare ASGI function in turn."""
    place = Path(tempfile.mkdtemp(prefix="modelport-front-"))
    from sklearn.preprocessing import FunctionTransformer

    (place / "echo.pkl").write_bytes(pickle.dumps(FunctionTransformer().fit([ROW])))
    (place / "bare.py").write_text(ASGI)
    here = Path(sys.executable).parent
    commands = {
        "modelport, echo": [str(here / "modelport"), "serve", str(place / "echo.pkl"), "--port", "{port}"],
        "nginx, fixed": [shutil.which("nginx") or "nginx", "-c", str(place / "nginx.conf"), "-p", str(place)],
        "uvicorn, fixed": [
            *[str(Path(os.environ.get("MODELPORT_BENCH_HOME", ".cache/bench")) / "fastapi" / "bin" / "uvicorn"), "bare:app"],
            *["--app-dir", str(place), "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log"],
        ],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for no in range(rounds):
        for at, (name, command) in enumerate(commands.items()):
            port = 18900 + 10 * no + at
            (place / "nginx.conf").write_text(NGINX.replace("PLACE", str(place)).replace("PORT", str(port)))
            line = [part.replace("{port}", str(port)) for part in command]
            server = Server(line, port, log=place / "log", env={"XDG_CACHE_HOME": str(place / "cache")})
            try:
                server.first_answer("/predict", json.dumps([ROW]).encode())
                sample, alone = (quietest(server, "/predict", [json.dumps([ROW])], connections=count, seconds=seconds) for count in (64, 1))
            finally:
                server.stop()
            found[name].append(sample.requests_per_s)
            lone = f"at one connection p50 {alone.p50_ms} ms"
            print(f"{name}: {sample.requests_per_s:,.0f}/s, p50 {sample.p50_ms} ms, p99 {sample.p99_ms} ms; {lone}")
    medians = {name: statistics.median(values) for name, values in found.items()}
    ours = medians.pop("modelport, echo")
    print(", ".join(f"{ours / value:.2f} x {name}" for name, value in medians.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.load:
        under_load(options.seconds, options.rounds)
    else:
        try:
            import uvloop
        except ImportError:
            asyncio.run(without_kernel())
        else:
            uvloop.run(without_kernel())
