"""Answers that speak for all fronts: they wait for the others, and come exactly once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelport.telemetry.reports import Everybody, Report, total


class _Peers:
    """Other fronts, which answer when they are told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Report, Callable[[Everybody | None], None]]] = []

    def ask(self, own: Report, done: Callable[[Everybody | None], None]) -> None:
        self.asked.append((own, done))


def _scene(kit, *messages: bytes, answers: Callable[[Report], Everybody | None] | None, leaves: bool = False):
    """Ask a front with peers; give the answers before and after the peers have spoken."""

    async def main():
        front = kit.front()
        peers = _Peers()
        front.app.peers = peers
        await front.start()
        client = front.connect()
        for message in messages:
            client.send(message)
            await kit.turn()
        before = list(client.responses)
        if leaves:
            client.transport.abort()
            await kit.turn()
        for own, done in peers.asked:
            done(answers(own))
        await kit.turn()
        return before, client.responses, len(peers.asked), front.app.is_idle

    return kit.run(main())


def _twice(own: Report) -> Everybody:
    return Everybody(total([own, own]), 2, 5)


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/models", "/models/sums"])
def test_the_answer_comes_when_the_others_have_spoken(kit, path: str) -> None:
    before, after, asked, _ = _scene(kit, kit.get(path), answers=_twice)
    assert (before, asked) == ([], 1)
    assert [response.status for response in after] == [200]


def test_numbers_are_those_of_all(kit) -> None:
    _, after, *_ = _scene(kit, kit.post(), kit.get("/metrics"), kit.get("/models/sums"), answers=_twice)
    text = after[1].body.decode()
    assert 'modelport_requests_total{code="200",kind="predict",model="sums"} 2.0' in text
    assert "modelport_fronts 2.0" in text and "modelport_front_restarts_total 5.0" in text
    assert after[2].json()["fronts"] == 2


def test_what_is_missing_elsewhere_is_missing_here(kit) -> None:
    missing = {"front 2": "does not answer"}
    _, (response,), *_ = _scene(kit, kit.get("/readyz"), answers=lambda own: Everybody(own, 2, 0, missing))
    assert response.status == 503 and response.json() == {"ready": False, "waiting_for": missing}
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/models"])
def test_nothing_is_made_up_where_the_others_cannot_be_asked(kit, path: str) -> None:
    """Half of the numbers would look like a counter that went back."""
    _, (response,), *_ = _scene(kit, kit.get(path), answers=lambda _: None)
    assert response.status == 503 and response.json()["code"] == "not_ready"


def test_an_answer_that_cannot_be_written_is_an_error_and_not_silence(kit) -> None:
    def broken(own: Report) -> Everybody:
        own.tallies[0].stages = []
        return Everybody(own, 2)

    _, (response,), *_ = _scene(kit, kit.get("/metrics"), answers=broken)
    assert response.status == 500


def test_who_left_is_not_answered(kit) -> None:
    _, after, asked, is_idle = _scene(kit, kit.get("/metrics"), answers=_twice, leaves=True)
    assert (after, asked, is_idle) == ([], 1, True)


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/", "/apitest"])
def test_life_does_not_depend_on_others(kit, path: str) -> None:
    before, _, asked, _ = _scene(kit, kit.get(path), answers=_twice)
    assert (len(before), asked) == (1, 0)
