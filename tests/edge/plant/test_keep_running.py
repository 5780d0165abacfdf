"""A protocol that fails is told once, tried again after a while, and never ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.clock import ManualClock
from edge.errors import PlantError
from edge.plant import keep_running as module
from edge.plant.keep_running import Weaknesses, keep_running, together
from edge.plant.secret_file import secret


def test_failures_are_told_once_and_their_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    told: list[dict[str, str]] = []
    said: list[str] = []
    attempts = iter(["away", "away", "odd", "up", "away", "stop"])
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance_ms(seconds * 1e3)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)

    async def run(up: Callable[[], None]) -> None:
        what = next(attempts)
        if what == "stop":
            raise asyncio.CancelledError
        if what == "odd":
            raise ZeroDivisionError("odd\nthing")
        if what == "up":
            up()
            clock.advance_ms(module.STEADY_MS)
        raise PlantError("broker: is away")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(keep_running("mqtt", run, Weaknesses(told.append, said.append), clock))
    assert waits == [0.5, 1.0, 2.0, 0.5, 1.0]  # the first again after it lasted
    assert [one["mqtt"] for one in told] == [
        "broker: is away", "unexpected ZeroDivisionError: odd thing", "", "broker: is away",
    ]  # fmt: skip
    assert said == ["plant mqtt: broker: is away", "plant mqtt: works again", "plant mqtt: broker: is away"]


def test_what_runs_together_ends_together() -> None:
    ended: list[str] = []

    async def lasts() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("lasts")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise PlantError("broker: is away")

    async def cancelled() -> None:
        task = asyncio.ensure_future(together(lasts(), lasts()))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(PlantError, match="is away"):
        asyncio.run(together(lasts(), fails()))
    assert ended == ["lasts"]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert ended == ["lasts"] * 3


def test_a_secret_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" s3cret \nmore\n")
    assert secret(file) == "s3cret"
    for content, said in ((b"", "it is empty"), (b"\xff\xfe", "not UTF-8 text")):
        file.write_bytes(content)
        with pytest.raises(PlantError, match=said):
            secret(file)
    with pytest.raises(PlantError, match="No such file"):
        secret(tmp_path / "none")
