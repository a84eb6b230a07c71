"""A hosted service answers what `modelport serve` answers, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelport.errors import ModelportError, NotReady, UnreadableFile, UsageError
from modelport.server.hosted import Hosted

TOY = """
from modelport.columns import Columns


def load(folder):
    return None


def predict(model, x):
    if (x["a"] == 13).any():
        raise ValueError("thirteen")
    return Columns({"sum": x["a"] + x["b"]})
"""
COLUMN = '[[{}]]\nname = "{}"\ntype = "float64"\n'
# What differs between two answers of one server, too.
VARYING = {"date", "x-request-id", "server-timing", "connection", "keep-alive"}


def toy(folder: Path, name: str = "toy", version: str = "1") -> Path:
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "model.toml").write_text(
        f'format = 1\nname = "{name}"\nversion = "{version}"\n[hooks]\nload = "toy.py:load"\npredict = "toy.py:predict"\n'
        + COLUMN.format("inputs", "a") + COLUMN.format("inputs", "b") + COLUMN.format("outputs", "sum")
    )  # fmt: skip
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_every_path_answers_the_same_bytes_as_a_server(guest: Callable[..., Any], serve: Any, tmp_path: Path, several: bool) -> None:
    files = [toy(tmp_path / "one", "one"), *([toy(tmp_path / "two", "two", "2")] if several else [])]
    server = serve(*files)
    predict = "/models/one/predict" if several else "/predict"
    asked = [
        *((path, None) for path in ("/", "/docs", "/livez", "/readyz", "/openapi.json", "/nowhere", "/predict", "/v2", "/v2/models/one")),
        *((predict, body) for body in (b'[{"a":1,"b":2}]', b'{"a":[1,2],"b":[3,4]}', b'{"a":13,"b":1}', b'[{"a":"x"}]', b"{", b"")),
        ("/models/none/predict", b"{}"),
    ]

    async def main() -> None:
        app = await guest(*files)
        try:
            for path, body in asked:
                status, head, text = server.request(path, body)
                found = await app.ask(path, body)
                assert found[0] == status, path
                assert _plain(found[2]) == _plain(text), path
                assert {name: found[1].get(name) for name in head if name not in VARYING and name != "content-length"} == {
                    name: value for name, value in head.items() if name not in VARYING and name != "content-length"
                }, path
            models = [json.loads(each[2]) for each in (server.request("/models"), await app.ask("/models"))]
            assert [each["name"] for each in models[0]["models"]] == [each["name"] for each in models[1]["models"]]
            assert b"modelport_" in (await app.ask("/metrics"))[2]
        finally:
            await app.stop()

    asyncio.run(main())


def _plain(text: bytes) -> object:
    """A body without what is made anew for each request."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    if isinstance(found, dict):
        found.pop("request_id", None)
        found.pop("instance", None)
        found.pop("servers", None)
    return found


def test_it_is_ready_from_startup_to_shutdown_and_its_workers_end_with_it(guest: Callable[..., Any], tmp_path: Path) -> None:
    async def main() -> None:
        app = await guest(toy(tmp_path / "toy"), isolation="process")
        assert app.app.is_ready
        assert (await app.ask("/predict", b'{"a":1,"b":2}'))[0] == 200
        await app.stop()
        assert not app.app.is_ready
        with pytest.raises(NotReady, match="not started"):
            await app.ask("/livez")

    asyncio.run(main())
    assert multiprocessing.active_children() == []


def test_what_stands_in_the_way_of_a_model_is_raised_to_the_host(guest: Callable[..., Any], tmp_path: Path) -> None:
    broken = toy(tmp_path / "toy")
    (broken / "toy.py").write_text(TOY.replace("return None", "raise ValueError('no weights')"))

    async def main() -> None:
        with pytest.raises(ModelportError, match="no weights"):
            await guest(broken)

    asyncio.run(main())


def test_another_file_than_the_one_deployed_is_refused(saved_model: Callable[[str], Any]) -> None:
    file = saved_model("iris").path
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    async def main() -> None:
        app = Hosted([file], {}, [digest])
        await app.start()
        assert app.is_ready
        await app.close()
        with pytest.raises(UnreadableFile, match=f"SHA-256 is {digest} on this machine, {'0' * 64} was deployed"):
            await Hosted([file], {}, ["0" * 64]).start()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["host", "port", "fronts", "tls_cert", "tls_key"])
def test_settings_of_sockets_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f'"{name}" is for a server'):
        Hosted([Path("a")], {name: "1"})
