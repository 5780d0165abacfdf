"""Notices that another recipe is wanted, and has it opened and proved in the background before it is taken between two parts."""

from __future__ import annotations

from collections.abc import Callable

from edge.clock import Clock
from edge.errors import OutputError
from edge.recipes.ready_recipe import ReadyRecipe
from edge.recipes.recipe_request import RecipeAnswer, RecipeFiles
from edge.slots.stager import Stager

POLL_NS = 500_000_000
CLOSE_S = 5.0


class RecipeStager(Stager[ReadyRecipe]):
    """Looks at the wish twice a second.

    running: name of the recipe the inspection starts with; number: of the request known when that was chosen, so that one made
    since is not missed. prepare: opens and proves a recipe by name; may take minutes. What cannot be opened is told once, and the
    old one stays.
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
        super().__init__("recipe stager", POLL_NS, CLOSE_S, tell, clock)
        self._files, self._running, self._prepare, self._number = files, running, prepare, number
        self._seen: tuple[int, int] | None = None

    def start(self) -> None:
        self._answer(self._number, self._passed_over())
        super().start()

    def _look(self) -> None:
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

    def _discard(self, item: ReadyRecipe) -> None:
        item.close()

    def _heard(self, item: ReadyRecipe, refusal: str) -> None:
        if refusal:
            self._refused(_number(item), item.name, refusal)
        else:
            self._running = item.name
            self._answer(_number(item), "")
            self._say(f"recipe {item.name} taken: calibration {item.slot.record.serial}, {item.slot.describe()}", False)

    def _passed_over(self) -> str:
        """Why the last wish is not what runs; empty where it is, or there is none. A restart must not take up what was refused."""
        request = self._files.request()
        if request is None or request.number != self._number or request.name == self._running:
            return ""
        return f"edge-inspect was started with {self._running}"

    def _refused(self, number: int, name: str, reason: str) -> None:
        self._answer(number, reason)
        self._say(f"recipe {name} is refused: {reason}; {self._running} stays", True)

    def _answer(self, number: int, refusal: str) -> None:
        try:
            self._files.answer(RecipeAnswer(number=number, running=self._running, refusal=refusal))
        except OutputError as error:
            self._say(str(error), True)


def _number(ready: ReadyRecipe) -> int:
    return ready.request.number if ready.request is not None else 0
