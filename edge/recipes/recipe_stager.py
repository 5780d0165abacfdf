"""Notices that another recipe is wanted, and has it opened and proved in the background before it is taken between two parts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from edge.clock import Clock
from edge.errors import OutputError
from edge.recipes.ready_recipe import ReadyRecipe
from edge.recipes.recipe_request import RecipeAnswer, RecipeFiles

POLL_NS = 500_000_000
CLOSE_S = 5.0


class RecipeStager:
    """Looks at the wish twice a second from a thread of its own, while entered.

    running: name of the recipe the inspection starts with; number: of the request known when that was chosen, so that one made
    since is not missed. prepare: opens and proves a recipe by name; may take minutes. tell:
    gets one line for people, and whether it is bad news, from that thread alone. What cannot be opened is told once, and the old
    one stays.
    """

    def __init__(
        self,
        files: RecipeFiles,
        running: str,
        number: int,
        prepare: Callable[[str], ReadyRecipe],
        tell: Callable[[str, bool], None],
        clock: Clock,
    ) -> None:
        self._files, self._running, self._prepare, self._tell, self._clock = files, running, prepare, tell, clock
        self._seen: tuple[int, int] | None = None
        self._number = number
        self._lock = threading.Lock()
        self._staged: ReadyRecipe | None = None
        self._news: queue.SimpleQueue[tuple[ReadyRecipe, str]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._watch, name="recipe stager", daemon=True)

    def take(self) -> ReadyRecipe | None:
        """The recipe to change to, once; else None. Never waits for a disk or an engine. Whoever takes it answers, or closes it."""
        with self._lock:
            ready, self._staged = self._staged, None
            return ready

    def answer(self, ready: ReadyRecipe, refusal: str = "") -> None:
        """Say what became of a recipe that was taken: it inspects now, or was refused for this reason."""
        self._news.put((ready, refusal))
        self._wake.set()

    def poll(self) -> None:
        """Look once: tell what there is to tell, open what is wanted."""
        self._tell_news()
        state = self._files.state()
        if state == self._seen:
            return
        self._seen = state
        request = self._files.request()
        if request is None:
            self._say("the wish for another recipe cannot be read and is passed over; ask again with edge-recipes switch", True)
            return
        if request.number == self._number:
            return
        self._number = request.number
        self._stage(None)  # one that nobody took is no longer wanted
        if request.name == self._running:
            self._answer(request.number, "")
            self._say(f"recipe {request.name} runs already", False)
            return
        self._say(f"recipe {request.name} is being opened, wanted by {request.operator}", False)
        try:
            ready = self._prepare(request.name)
        except Exception as error:  # whatever is wrong with it, the running one goes on
            self._refused(request.number, request.name, str(error) or type(error).__name__)
            return
        ready.request = request
        self._stage(ready)

    def close(self) -> None:
        """Stop looking; one that opens an engine just now is not waited for longer than five seconds."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._stage(None)

    def __enter__(self) -> RecipeStager:
        self._answer(self._number, self._passed_over())
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _passed_over(self) -> str:
        """Why the last wish is not what runs; empty where it is, or there is none. A restart must not take up what was refused."""
        request = self._files.request()
        if request is None or request.number != self._number or request.name == self._running:
            return ""
        return f"edge-inspect was started with {self._running}"

    def _watch(self) -> None:
        while not self._stopping:
            self.poll()
            self._clock.wait(self._wake, POLL_NS)
            self._wake.clear()
        self._tell_news()

    def _stage(self, ready: ReadyRecipe | None) -> None:
        with self._lock:
            before, self._staged = self._staged, None if self._stopping else ready
        for one in {id(x): x for x in (before, ready if self._stopping else None) if x is not None}.values():
            with suppress(Exception):
                one.close()

    def _tell_news(self) -> None:
        while not self._news.empty():
            ready, refusal = self._news.get()
            if refusal:
                self._refused(_number(ready), ready.name, refusal)
            else:
                self._running = ready.name
                self._answer(_number(ready), "")
                self._say(f"recipe {ready.name} taken: calibration {ready.slot.record.serial}, {ready.slot.describe()}", False)

    def _refused(self, number: int, name: str, reason: str) -> None:
        self._answer(number, reason)
        self._say(f"recipe {name} is refused: {reason}; {self._running} stays", True)

    def _answer(self, number: int, refusal: str) -> None:
        try:
            self._files.answer(RecipeAnswer(number=number, running=self._running, refusal=refusal))
        except OutputError as error:
            self._say(str(error), True)

    def _say(self, text: str, bad: bool) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone does not end the watching
            self._tell(text, bad)


def _number(ready: ReadyRecipe) -> int:
    return ready.request.number if ready.request is not None else 0
