"""A POST for every part to an HTTP server, one after the other. A part counts as told when the server has taken it (2xx)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from edge.errors import PlantError
from edge.plant.delivery import Delivery
from edge.plant.part_result import Gap, PartResult
from edge.plant.plant_config import WebhookConfig
from edge.plant.secret_file import secret

REFUSED = (400, 413, 415, 422)
"""The server does not take this content, and will not take it later. Any other answer may be another one later."""
HAS_IT = 409
"""Conflict: it has the part already."""
REFUSAL = "the server refused the content of the parts from there on"


class Webhook:
    """Posts parts to ``config.url``; ``weaken`` gets what is not as it should be, by name.

    A part whose content is refused ``attempts`` times is left out, and told as a gap with the next that is taken.
    """

    def __init__(self, config: WebhookConfig, weaken: Callable[[str, str], None]) -> None:
        self._config, self._weaken = config, weaken
        parts = urlsplit(config.url)
        self._where = f"{parts.scheme}://{parts.netloc}"  # as it may be told: what follows may be a secret
        self._refusals = 0
        self._left_out: PartResult | None = None
        """The first since the last that was taken."""

    async def run(self, delivery: Delivery, up: Callable[[], None]) -> None:
        """Until cancelled; raises PlantError where the server is away or refuses, and RecordsError."""
        try:
            import httpx
        except ImportError as error:
            raise PlantError("expected the package httpx, it is not installed; pip install 'edge-inspect[plant]'") from error
        config = self._config
        headers = {"Content-Type": "application/json", "User-Agent": "edge-inspect"}
        if config.token_file is not None:
            headers["Authorization"] = f"Bearer {secret(config.token_file)}"
        try:
            context = ssl.create_default_context(cafile=config.ca_file)
        except OSError as error:
            raise PlantError(f"{config.ca_file}: cannot use these certificates: {error}; give PEM") from error
        # trust_env: a proxy is nothing to find by chance in the environment of a line.
        async with httpx.AsyncClient(verify=context, timeout=config.timeout_s, headers=headers, trust_env=False) as client:

            async def tell(parts: Sequence[PartResult]) -> None:
                for part in parts:
                    content = _with_gap(part, self._left_out).model_dump_json()
                    try:
                        answer = await client.post(config.url, content=content, headers={"Idempotency-Key": part.key})
                    except httpx.HTTPError as error:
                        why = str(error) or type(error).__name__
                        raise PlantError(f"{self._where}: cannot be told: {why}; check the server and the way to it") from error
                    self._judge(part, answer.status_code, answer.reason_phrase)
                    delivery.told.move(part.place)
                    up()

            await delivery.run(tell)

    def _judge(self, part: PartResult, code: int, words: str) -> None:
        if 200 <= code < 300 or code == HAS_IT:
            self._refusals, self._left_out = 0, None
            self._weaken("webhook refusal", "")
            return
        where = f"{self._where}: answers {code} {words}"
        if code not in REFUSED:
            raise PlantError(f"{where}; check the server, the URL and the token")
        self._refusals += 1
        if self._refusals < self._config.attempts:
            raise PlantError(f"{where} to part {part.part_id}; look into the server's log for what it does not take")
        self._refusals, self._left_out = 0, self._left_out or part
        self._weaken("webhook refusal", f"{where} to part {part.part_id}, {self._config.attempts} times: it was left out")


def _with_gap(part: PartResult, left_out: PartResult | None) -> PartResult:
    if left_out is None:
        return part
    before = left_out.gap
    return part.model_copy(update={"gap": before or Gap(expected=left_out.part_id, reason=REFUSAL)})
