"""Routes, status codes and headers of every path, over a real engine."""

from __future__ import annotations

import re

import pytest

from modelport.engine.executor import Identity
from modelport.errors import UsageError
from modelport.http.limits import HttpLimits


def _ask(kit, *messages: bytes, front=None):
    """Send each message over one connection and return all answers."""

    async def main():
        running = front or kit.front()
        await running.start()
        client = running.connect()
        for message in messages:
            client.send(message)
            await kit.turn()
        return client.responses

    return kit.run(main())


PATHS = [
    "/apitest",
    "/hello",
    "/livez",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/",
    "/models",
    "/models/sums",
    "/models/sums/versions/1",
]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_with_the_headers_all_answers_have(kit, path) -> None:
    (response,) = _ask(kit, kit.get(path))
    assert response.status == 200 and response.body
    assert response.headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"total;dur=\d+\.\d{3}", response.headers["server-timing"])
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", response.headers["x-request-id"])
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_the_words_other_programs_rely_on(kit) -> None:
    home, apitest, hello = _ask(kit, kit.get("/"), kit.get("/apitest"), kit.get("/hello"))
    assert home.json() == {"status": "alive"}
    assert apitest.body == hello.body == b"API working" and apitest.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "path", ["/predict", "/sum", "/models/sums/predict", "/models/sums/versions/1/predict", "/models/s%75ms/predict", "/predict?trace=1"]
)
def test_every_predict_path_answers_and_says_who_computed_it(kit, path) -> None:
    (response,) = _ask(kit, kit.post(path, b'[{"ref":7,"a":1.5,"b":2}]'))
    assert response.status == 200 and response.json() == [{"ref": 7, "prediction": 3.5}]
    assert response.headers["x-model-version"] == "1" and response.headers["x-model-form"] == "sums"
    assert re.fullmatch(r"decode;dur=\S+, queue;dur=\S+, predict;dur=1.000, encode;dur=\S+", response.headers["server-timing"])


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b'{"a":[1],"c":[2]}', 422, "schema_mismatch"),
        (b'{"a":[660],"b":[6]}', 500, "model_error"),
        (b"[" + b'{"a":1,"b":1},' * 10_000 + b'{"a":1,"b":1}]', 413, "too_large"),
    ],
)
def test_a_failed_prediction_is_a_problem_document_of_that_model(kit, message, status, code) -> None:
    response, after = _ask(kit, kit.post(body=message), kit.post())
    assert response.status == status and response.json()["code"] == code
    assert response.headers["content-type"] == "application/problem+json" and response.headers["x-model-version"] == "1"
    assert after.status == 200


def test_a_wrong_content_type_is_415(kit) -> None:
    (response,) = _ask(kit, kit.post().replace(b"application/json", b"image/png"))
    assert response.status == 415


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("POST", "/livez", "GET, HEAD, OPTIONS"), ("GET", "/predict", "POST, OPTIONS"), ("PUT", "/models", "GET, HEAD, OPTIONS")],
)
def test_a_wrong_method_is_405_and_names_the_right_ones(kit, method, path, allow) -> None:
    (response,) = _ask(kit, kit.get(path, method=method))
    assert response.status == 405 and response.headers["allow"] == allow and response.json()["code"] == "method_not_allowed"


def test_options_is_204_with_allow_and_without_a_body(kit) -> None:
    response, after = _ask(kit, kit.get("/predict", method="OPTIONS"), kit.get())
    assert response.status == 204 and response.headers["allow"] == "POST, OPTIONS" and "content-length" not in response.headers
    assert after.status == 200


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/predict/", 'did you mean "/predict"'),
        ("/predit", "did you mean /predict"),
        ("/zzz", "predictions are at /predict"),
        ("/models/sum/predict", 'there is no model "sum"; there are: sums'),
        ("/models/sums/versions/2/predict", 'has no version "2"; it has: 1'),
        ("/models/..%2f/predict", "no such path"),
        ("/models/a%20b/predict", "no model's name"),
        ("/models/" + "a" * 129, "no model's name"),
    ],
)
def test_an_unknown_path_says_what_there_is(kit, path, hint) -> None:
    (response,) = _ask(kit, kit.get(path))
    assert response.status == 404 and hint in response.json()["detail"]


def test_an_unknown_path_is_repeated_without_control_characters_and_not_at_length(kit) -> None:
    (response,) = _ask(
        kit,
        kit.get("/x%1b%5b2J"),
    )
    assert "\x1b" not in response.json()["detail"]
    (response,) = _ask(kit, kit.get("/" + "y" * 5000))
    assert len(response.json()["detail"]) < 300


def test_a_request_id_is_echoed_if_it_is_harmless_and_else_ours_which_never_repeat(kit) -> None:
    good, bad, first, second = _ask(
        kit, kit.get(fields="X-Request-Id: abc.DEF-1_2\r\n"), kit.get(fields='X-Request-Id: a"b\r\n'), kit.get(), kit.post()
    )
    assert good.headers["x-request-id"] == "abc.DEF-1_2"
    ours = [response.headers["x-request-id"] for response in (bad, first, second)]
    assert len(set(ours)) == 3 and 'a"b' not in ours


@pytest.mark.parametrize("value", ["50ms", "0.05", "0.05s", "0.05 s"])
def test_the_request_may_lower_its_time_limit(kit, value) -> None:
    async def main() -> None:
        front = await kit.front().start()
        front.executor.is_held = True
        busy = front.connect().send(kit.post())
        await kit.turn()
        client = front.connect().send(kit.post(fields=f"X-Request-Timeout: {value}\r\n"))
        import asyncio

        began_s = asyncio.get_running_loop().time()
        while not client.transport.sent:  # noqa: ASYNC110  # the clock is a fake one
            await asyncio.sleep(0.001)
        assert 0.049 <= asyncio.get_running_loop().time() - began_s <= 0.06
        assert client.statuses == [504] and client.responses[0].json()["code"] == "deadline_exceeded"
        front.executor.is_held = False
        front.executor.release()
        await kit.turn()
        assert busy.statuses == [200] and front.executor.computed == 1

    kit.run(main())


@pytest.mark.parametrize("value", ["soon", "0", "-1", "1e9", "nan", "5 minutes", ""])
def test_a_time_limit_that_is_none_is_400(kit, value) -> None:
    (response,) = _ask(kit, kit.post(fields=f"X-Request-Timeout: {value}\r\n"))
    assert response.status == 400 and "x-request-timeout" in response.json()["detail"]


def test_a_full_queue_is_429_at_once_with_retry_after(kit) -> None:
    async def main() -> None:
        front = await kit.front(None, queue=1).start()
        front.executor.is_held = True
        front.connect().send(kit.post())
        await kit.turn()
        front.connect().send(kit.post())
        refused = front.connect().send(kit.post())
        assert refused.statuses == [429] and int(refused.responses[0].headers["retry-after"]) >= 1

    kit.run(main())


def test_a_model_that_is_not_ready_is_503_and_so_is_readyz_but_never_livez(kit) -> None:
    async def main() -> None:
        front = kit.front()  # its engine was never started
        predict, ready, live = (front.connect().send(sent) for sent in (kit.post(), kit.get("/readyz"), kit.get("/livez")))
        assert predict.statuses == ready.statuses == [503] and live.statuses == [200]
        assert ready.responses[0].json()["waiting_for"] == {"sums/1": "loading"}
        assert "retry-after" in predict.responses[0].headers
        await front.start()
        assert front.connect().send(kit.get("/readyz")).statuses == [200]
        client = front.connect().send(kit.post())
        await kit.turn()
        assert client.statuses == [200]
        front.executor.is_alive = front.executor.is_recovering = False
        assert front.connect().send(kit.get("/readyz")).statuses == [503]
        assert front.connect().send(kit.get("/livez")).statuses == [200]

    kit.run(main())


# --- several models -------------------------------------------------------------------------------------------------


def test_several_models_answer_on_their_own_paths_and_predict_lists_them(kit) -> None:
    front = kit.front(None, Identity("one"), Identity("two", "1"), Identity("two", "2"))
    named, latest, listing, ambiguous = _ask(
        kit, kit.post("/models/one/predict"), kit.post("/models/two/predict"), kit.get("/models"), kit.post("/predict"), front=front
    )
    assert named.headers["x-model-version"] == "1" and latest.headers["x-model-version"] == "2"
    assert [(model["name"], model["version"]) for model in listing.json()["models"]] == [("one", "1"), ("two", "1"), ("two", "2")]
    assert ambiguous.status == 404 and "/models/one/predict" in ambiguous.json()["detail"]


def test_a_model_may_not_take_a_path_of_the_server(kit) -> None:
    with pytest.raises(UsageError, match="/metrics"):
        kit.front(None, Identity("one", "1", "/metrics"))


# --- keys -----------------------------------------------------------------------------------------------------------

KEYS = HttpLimits(api_keys=frozenset({"first-key", "second-key"}))


@pytest.mark.parametrize("field", ["Authorization: Bearer first-key", "Authorization: bearer second-key", "X-API-Key: first-key"])
def test_a_valid_key_is_let_in(kit, field) -> None:
    (response,) = _ask(kit, kit.post(fields=field + "\r\n"), front=kit.front(KEYS))
    assert response.status == 200


@pytest.mark.parametrize(
    "field", ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic first-key\r\n", "X-API-Key: \r\n", "Authorization: Bearer\r\n"]
)
@pytest.mark.parametrize("path", ["/predict", "/models", "/metrics", "/nowhere", "/openapi.json"])
def test_without_a_valid_key_nothing_is_told(kit, field, path) -> None:
    (response,) = _ask(kit, kit.get(path, field), front=kit.front(KEYS))
    assert response.status == 401 and response.headers["www-authenticate"] == "Bearer" and "sums" not in response.body.decode()


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/apitest", "/hello", "/livez?x=1"])
def test_health_checks_need_no_key(kit, path) -> None:
    (response,) = _ask(kit, kit.get(path), front=kit.front(KEYS))
    assert response.status == 200


# --- metrics --------------------------------------------------------------------------------------------------------


def test_metrics_count_what_happened(kit) -> None:
    *_, response = _ask(kit, kit.post(), kit.post(), kit.post(body=b"{"), kit.get("/zzz"), kit.get("/metrics"))
    text = response.body.decode()
    for line in (
        'modelport_requests_total{code="200",kind="predict",model="sums"} 2.0',
        'modelport_requests_total{code="400",kind="predict",model="sums"} 1.0',
        'modelport_errors_total{error="bad_json",kind="predict",model="sums"} 1.0',
        'modelport_errors_total{error="not_found",kind="other",model=""} 1.0',
        'modelport_stage_seconds_count{model="sums",stage="predict"} 2.0',
        'modelport_stage_seconds_count{model="sums",stage="total"} 3.0',
        'modelport_in_flight_requests{model="sums"} 0.0',
        'modelport_batch_rows_count{model="sums",version="1"} 2.0',
        'modelport_model_ready{model="sums",version="1"} 1.0',
        "modelport_connections 1.0",
    ):
        assert line in text


def test_metrics_do_not_grow_with_what_clients_send(kit) -> None:
    paths = [kit.get(f"/p{number}") for number in range(50)]
    *_, few = _ask(kit, paths[0], kit.get("/metrics"))
    *_, many = _ask(kit, *paths, kit.get("/metrics"))
    assert len(few.body.splitlines()) == len(many.body.splitlines())


# --- what must not happen, and the log ------------------------------------------------------------------------------


class _Broken:
    """A codec with a fault of our own making."""

    def decode(self, body, content_type):
        raise RuntimeError("/secret/path")

    def encode(self, columns, call):
        raise RuntimeError("/secret/path")


def _without_details(response) -> None:
    assert response.status == 500 and response.json()["code"] == "internal"
    assert b"secret" not in response.body and b"Error" not in response.json()["detail"].encode()


def test_a_fault_of_ours_is_500_without_details_and_the_connection_lives(kit, monkeypatch) -> None:
    monkeypatch.setattr("modelport.http.meta.listing", lambda models: 1 / 0)
    broken, after = _ask(kit, kit.get("/models"), kit.get())
    _without_details(broken)
    assert after.status == 200


@pytest.mark.parametrize("half", ["decode", "encode"])
def test_a_fault_of_the_wire_is_500_without_details(kit, monkeypatch, half) -> None:
    from modelport.wire.native import codec

    def faulty(schema, limits):
        good = codec(schema, limits)
        return _Codec(_Broken().decode if half == "decode" else good.decode, _Broken().encode if half == "encode" else good.encode)

    class _Codec:
        def __init__(self, decode, encode) -> None:
            self.decode, self.encode = decode, encode

    monkeypatch.setattr("modelport.http.predict.codec", faulty)
    broken, live = _ask(kit, kit.post(), kit.get())
    _without_details(broken)
    assert live.status == 200


def test_each_answer_is_one_line_of_the_log_where_debug_lines_are_wanted(kit, monkeypatch) -> None:
    from structlog.testing import capture_logs

    monkeypatch.setattr("modelport.http.app.is_debugging", lambda: True)
    with capture_logs() as lines:
        _ask(kit, kit.get("/livez", "X-Request-Id: one\r\n"), kit.post(body=b"{"))
    seen = [(line["method"], line["target"], line["status"]) for line in lines if line["event"] == "request"]
    assert seen == [("GET", "/livez", 200), ("POST", "/predict", 400)] and lines[0]["request"] == "one"


def test_without_debug_lines_only_failures_of_the_server_are_logged(kit) -> None:
    from structlog.testing import capture_logs

    with capture_logs() as lines:
        _ask(kit, kit.get(), kit.post(), kit.post(body=b"{"), kit.post(body=b'{"a":[660],"b":[6]}'))
    assert [(line["event"], line["code"]) for line in lines] == [("a prediction failed", "model_error")]
