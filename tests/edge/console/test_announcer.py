from __future__ import annotations

import threading

from edge.console.announcer import CAPACITY, Announcer


def test_what_was_added_is_said_in_order_before_it_ends() -> None:
    said: list[str] = []
    with Announcer(said.append) as announcer:
        for number in range(5):
            announcer.add(str(number))
    assert said == ["0", "1", "2", "3", "4"]


def test_a_console_that_stands_still_holds_up_nobody() -> None:
    go_on, said = threading.Event(), list[str]()

    def stuck(text: str) -> None:
        go_on.wait(10)
        said.append(text)

    with Announcer(stuck) as announcer:
        for number in range(10 * CAPACITY):
            announcer.add(str(number))
        go_on.set()
    assert said[0] == "0"
    assert CAPACITY <= len(said) <= CAPACITY + 1


def test_a_console_that_is_gone_ends_nothing() -> None:
    tried: list[str] = []

    def broken(text: str) -> None:
        tried.append(text)
        raise OSError("gone")

    with Announcer(broken) as announcer:
        announcer.add("a")
        announcer.add("b")
    assert tried == ["a", "b"]
