"""A question to all fronts: every other one is asked once, and none can keep the answer from coming."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from modelport.server.channel import Channel, Message, Order, encode
from modelport.server.questions import ANSWER_S, Question, Questions, together
from modelport.server.seats import Seat
from modelport.telemetry.reports import EngineReport, Report


class _Told(Channel):
    """A channel that notes what is sent."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, lambda: None)
        self.kinds: list[str] = []

    def send(self, message: Message) -> None:
        self.kinds.append(message.kind)


def _seat(number: int, *, has_joined: bool = True) -> Seat:
    return Seat(number, asyncio.get_running_loop().create_future(), _Told(), has_joined=has_joined)


def _run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(scene())


def _kinds(seat: Seat) -> list[str]:
    assert isinstance(seat.channel, _Told)
    return seat.channel.kinds


def test_all_who_can_be_asked_are_and_the_answer_waits_for_each() -> None:
    async def scene() -> None:
        told: list[Question] = []
        questions = Questions(told.append)
        asker, one, other, starting = _seat(0), _seat(1), _seat(2), _seat(3, has_joined=False)
        questions.ask(asker, 7, [one, other, starting])
        assert _kinds(one) == _kinds(other) == ["report"] and _kinds(starting) == [] and told == []
        questions.answered(one)
        assert told == []
        questions.answered(other)
        (question,) = told
        assert (question.seat, question.id, question.waits_for) == (asker, 7, set())

    _run(scene)


def test_two_questions_ask_a_front_once() -> None:
    async def scene() -> None:
        told: list[Question] = []
        questions = Questions(told.append)
        asker, one = _seat(0), _seat(1)
        questions.ask(asker, 1, [one])
        questions.ask(asker, 2, [one])
        assert _kinds(one) == ["report"]
        questions.answered(one)
        assert [question.id for question in told] == [1, 2]
        questions.ask(asker, 3, [one])
        assert _kinds(one) == ["report", "report"]
        questions.left(one)

    _run(scene)


def test_who_is_alone_is_answered_at_once() -> None:
    async def scene() -> None:
        told: list[Question] = []
        Questions(told.append).ask(_seat(0), 1, [])
        assert len(told) == 1

    _run(scene)


def test_a_front_that_ends_or_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        later: list[tuple[float, Callable[[], object]]] = []

        def call_later(delay_s: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
            later.append((delay_s, lambda: call(*arguments)))
            return asyncio.TimerHandle(0, call, arguments, loop)

        monkeypatch.setattr(loop, "call_later", call_later)
        told: list[Question] = []
        questions = Questions(told.append)
        asker, ends, hangs = _seat(0), _seat(1), _seat(2)
        questions.ask(asker, 1, [ends, hangs])
        questions.left(ends)
        assert told == []
        ((delay_s, time_is_up),) = later
        assert delay_s == ANSWER_S
        time_is_up()
        assert [question.waits_for for question in told] == [{hangs}]
        time_is_up()
        questions.answered(hangs)
        assert len(told) == 1, "a question is answered once"

    _run(scene)


def test_the_sum_holds_those_who_live_and_those_who_are_gone() -> None:
    async def scene() -> None:
        one, other, empty = _seat(0), _seat(1), _seat(2, has_joined=False)
        one.report, other.report, empty.report = Report(connections=1), Report(connections=2), Report(connections=40)
        assert together([one, other, empty], Report(connections=100)).connections == 103

    _run(scene)


def test_a_front_that_is_being_replaced_makes_nobody_unready() -> None:
    async def scene() -> None:
        loading, ready = EngineReport("m", "1", "loading", is_ready=False), EngineReport("m", "1")
        one, other = _seat(0), _seat(1)
        one.report, other.report = Report(engines=[ready]), Report(engines=[loading])
        assert not together([one, other], Report()).engines[0].is_ready, "at the first start all have to be ready"
        for seat in (one, other):
            seat.first.set_result([])
        one.is_ready = True
        assert together([one, other], Report()).engines[0].is_ready

    _run(scene)


def test_messages_come_whole_however_they_are_cut() -> None:
    received: list[Message] = []
    channel = Channel(received.append, lambda: None)
    sent = [Message("ready", report=Report(connections=3)), Message("failed", code="load_failed", text="two\nlines"), Message("stop")]
    for byte in b"".join(map(encode, sent)):
        channel.data_received(bytes([byte]))
    assert received == sent


def test_a_channel_whose_other_end_is_gone_swallows_what_is_sent() -> None:
    ends: list[int] = []
    channel = Channel(lambda _: None, lambda: ends.append(1))
    channel.connection_lost(None)
    channel.send(Message("stop"))
    channel.hand_over(Order(0, 2, True, False, 1, "", {}, []))
    assert ends == [1]
