"""Figures for Prometheus: what the inspection says of itself, and how many parts wait to be told. docs/plant.md lists them."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from edge.errors import PlantError, RecordsError
from edge.live.live_status import STAGE_BOUNDS_MS, LiveStatus
from edge.plant.delivery import Delivery
from edge.plant.plant_config import MetricsConfig
from edge.supervision.states import State

if TYPE_CHECKING:
    from prometheus_client import Metric

ASK_S = 1.0
PEER_S = 5.0
"""A peer that says or takes nothing for longer is dropped."""
MOST_PEERS = 8


def families(status: LiveStatus | None, weaknesses: Mapping[str, str], waiting: Mapping[str, int]) -> Iterator[Metric]:
    """All figures. weaknesses: of the plant; waiting: parts by protocol. Where no inspection answers, only those and ``up`` = 0."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    def gauge(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
        family = GaugeMetricFamily(f"edge_inspect_{name}", about, labels=labels)
        for label, value in values.items():
            family.add_metric(label, value)
        return family

    def counter(name: str, about: str, label: str, values: Mapping[str, int]) -> Metric:
        family = CounterMetricFamily(f"edge_inspect_{name}", about, labels=(label,))
        for what, value in values.items():
            family.add_metric((what,), value)
        return family

    yield gauge("up", "1 while the inspection answers", (), {(): float(status is not None)})
    yield gauge("waiting_parts", "parts that a protocol has yet to tell", ("protocol",), {(n,): c for n, c in waiting.items()})
    weak = [f"plant {what}" for what, reason in weaknesses.items() if reason] if status is None else list(status.weaknesses)
    yield gauge("weakness", "1 for what is not as it should be", ("what",), {(what,): 1.0 for what in weak})
    if status is None:
        return
    product = status.product
    about = {
        "version": status.version, "recipe": product.recipe, "model_id": product.model_id, "precision": product.precision,
        "runtime": product.runtime, "calibration": str(product.calibration_serial), "settings": status.settings,
    }  # fmt: skip
    yield gauge("info", "what runs", tuple(about), {tuple(about.values()): 1.0})
    yield gauge("start_time_seconds", "when the inspection began", (), {(): status.started_wall_ns / 1e9})
    states = {(state.value,): float(state.value == status.state) for state in State}
    yield gauge("state", "1 for the state it is in", ("state",), states)
    yield gauge("fault", "1 for what makes parts unknown", ("what",), {(what,): 1.0 for what in status.faults})
    yield gauge("shadow", "1 where no line acts on verdicts", (), {(): float(status.shadow)})
    yield counter("parts", "parts by verdict", "outcome", status.outcomes)
    yield counter("triggers", "triggers by what became of them", "what", status.triggers)
    yield counter("lost", "what the disk did not take, by what keeps it", "what", status.lost)
    stages = HistogramMetricFamily("edge_inspect_stage_seconds", "how long a stage took", labels=("stage",))
    for stage, times in status.stages.items():
        buckets, total = [], 0
        for bound, count in zip((*STAGE_BOUNDS_MS, None), times.counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else f"{bound / 1e3:g}", float(total)))
        stages.add_metric((stage,), buckets, times.total_ms / 1e3)
    yield stages
    yield gauge("threshold", "at or above it a score is a REJECT", (), {(): product.threshold})
    score = ((status.verdict or {}).get("scores") or {}).get("score")
    yield gauge("score", "of the newest part", (), {} if score is None else {(): score})
    yield gauge("temperature_celsius", "of the machine", ("zone",), {(zone,): heat for zone, heat in status.temperatures.items()})
    yield gauge("drifting", "1 where parts are no longer as at the calibration", (), {(): float(bool(status.drift))})
    figures = {(figure, parts): value for figure, pair in status.drift_figures.items()
               for parts, value in zip(("of late", "calibration"), pair, strict=True)}  # fmt: skip
    yield gauge("figure", "of the parts of late, and of the calibration's", ("figure", "parts"), figures)


class MetricsServer:
    """Serves ``families`` where ``config`` says, from threads of its own. ``port`` is the one it listens at."""

    def __init__(
        self,
        config: MetricsConfig,
        status: Callable[[], LiveStatus | None],
        weaknesses: Callable[[], Mapping[str, str]],
        deliveries: Mapping[str, Delivery],
    ) -> None:
        self._config, self._status, self._weaknesses, self._deliveries = config, status, weaknesses, deliveries
        self._waiting: dict[str, int] = {}
        self.port = 0

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client's registry; from a thread of the server."""
        return families(self._status(), dict(self._weaknesses()), self._waiting)

    async def run(self, up: Callable[[], None]) -> None:
        """Until cancelled; raises PlantError where it cannot listen."""
        try:
            from prometheus_client import CollectorRegistry, make_wsgi_app
            from prometheus_client.registry import Collector
        except ImportError as error:
            raise PlantError(
                "expected the package prometheus-client, it is not installed; pip install 'edge-inspect[plant]'"
            ) from error
        collect = self.collect

        class Figures(Collector):
            def collect(self) -> Iterator[Metric]:
                return collect()

        registry = CollectorRegistry(auto_describe=False)
        registry.register(Figures())
        where = f"{self._config.address}:{self._config.port}"
        try:
            app: Any = make_wsgi_app(registry)
            server = make_server(self._config.address, self._config.port, app, _Server, _Handler)
        except (OSError, OverflowError) as error:
            raise PlantError(
                f"{where}: cannot serve metrics there: {error}; is the port free, the address of this machine?"
            ) from error
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            up()
            while True:
                self._waiting = {name: self._counted(one) for name, one in self._deliveries.items()}
                await asyncio.sleep(ASK_S)
        finally:
            server.shutdown()
            server.server_close()

    def _counted(self, delivery: Delivery) -> int:
        try:
            return delivery.waiting()
        except RecordsError:  # who delivers says so
            return 0


class _Handler(WSGIRequestHandler):
    timeout = PEER_S

    def log_message(self, format: str, *args: Any) -> None:
        """Not a word of each question."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each peer, of a few."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        self._room = threading.BoundedSemaphore(MOST_PEERS)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Without http.server's question for our name: where no DNS answers it would hold up all protocols for many seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away or talks rubbish is none of ours."""
