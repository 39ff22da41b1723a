"""Prometheus metrics: counters told by the parts, gauges read from the live rooms at scrape time.

Names as in the contract (events-and-metrics §4), plus per-room fps, age, drops and viewers.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamhub.model.clock import WallClock, utc_now
from streamhub.model.ingress import IngressState
from streamhub.model.relays import RelayCounts
from streamhub.model.streams import RoomStatus, State, StreamType
from streamhub.model.workers import WorkerCounts

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_KINDS = {"mjpeg": "http", "ws": "ws"}


class Metrics:
    """The process's metrics in a registry of their own."""

    def __init__(self) -> None:
        # A "_created" twin of every series tells nobody anything.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ["method", "route", "status"]
        self._requests = Counter("streamhub_http_requests", "HTTP requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "streamhub_http_request_duration_seconds",
            "Time to answer.",
            labels,
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.in_flight = Gauge(
            "streamhub_http_requests_in_flight", "HTTP requests being answered.", registry=self.registry
        )
        # Without the contract's label `tenant`: there are none.
        self.apps = Gauge("streamhub_apps", "Apps.", registry=self.registry)
        self.errors = Counter(
            "streamhub_errors", "Errors by place and code.", ["source", "code"], registry=self.registry
        )
        self.stream_events = Counter(
            "streamhub_stream_events", "Streams stopped and snapshots taken.", ["app", "event"], registry=self.registry
        )
        self.handshakes = Counter(
            "streamhub_ws_ingest_handshakes", "Camera handshakes by outcome.", ["result"], registry=self.registry
        )

    def http_observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; ``route`` is the pattern, never the path with its values."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route, str(status)).observe(seconds)

    def watch_rooms(
        self,
        statuses: Callable[[], Sequence[RoomStatus]],
        totals: Callable[[], tuple[int, int, dict[str, int]]],
        clock: WallClock = utc_now,
    ) -> None:
        """Read rooms, and the totals (frames, bytes, drops by reason), at each scrape."""
        self.registry.register(_Rooms(statuses, totals, clock))

    def watch_relays(self, counts: Callable[[], RelayCounts]) -> None:
        """Read the relays at each scrape."""
        self.registry.register(_Relays(counts))

    def watch_workers(self, counts: Callable[[], WorkerCounts]) -> None:
        """Read the viewer workers at each scrape."""
        self.registry.register(_Workers(counts))

    def exposition(self) -> bytes:
        """The text of ``/metrics`` (format 0.0.4). Takes milliseconds with many rooms: call it in a thread."""
        return generate_latest(self.registry)


class _Rooms(Collector):
    def __init__(
        self,
        statuses: Callable[[], Sequence[RoomStatus]],
        totals: Callable[[], tuple[int, int, dict[str, int]]],
        clock: WallClock,
    ) -> None:
        self._statuses, self._totals, self._clock = statuses, totals, clock

    def collect(self) -> Iterable[Metric]:
        frames, size, dropped = self._totals()
        yield CounterMetricFamily("streamhub_ws_ingest_frames", "Camera frames accepted.", value=frames)
        yield CounterMetricFamily("streamhub_ws_ingest_bytes", "Bytes of accepted camera frames.", value=size)
        drops = CounterMetricFamily(
            "streamhub_ws_ingest_dropped_frames", "Camera frames not published.", labels=["reason"]
        )
        for reason in ("fps", "too_large", "not_jpeg", *sorted(set(dropped) - {"fps", "too_large", "not_jpeg"})):
            drops.add_metric([reason], dropped.get(reason, 0))
        yield drops
        yield from self._gauges(self._statuses())

    def _gauges(self, rooms: Sequence[RoomStatus]) -> Iterable[Metric]:
        cameras: Tally[str] = Tally()
        active: Tally[str] = Tally()
        viewers: Tally[tuple[str, str]] = Tally()
        per_room = GaugeMetricFamily("streamhub_stream_viewers", "Viewers of a room.", labels=["app", "room"])
        fps = GaugeMetricFamily("streamhub_stream_fps", "Frames a second over five seconds.", labels=["app", "room"])
        age = GaugeMetricFamily("streamhub_stream_frame_age_seconds", "Age of the last frame.", labels=["app", "room"])
        up = GaugeMetricFamily("streamhub_stream_up", "1 while the picture is live.", labels=["app", "room"])
        lost = CounterMetricFamily(
            "streamhub_stream_dropped_frames",
            "Frames of the present source not published.",
            labels=["app", "room", "reason"],
        )
        now = self._clock()
        for room in rooms:
            labels = [room.key.app, room.key.room]
            per_room.add_metric(labels, sum(room.viewers.values()))
            up.add_metric(labels, 1 if room.state is State.LIVE else 0)
            for output, count in room.viewers.items():
                viewers[room.key.app, _KINDS.get(output, output)] += count
            source = room.source
            if source is None:
                continue
            active[room.key.app] += 1
            cameras[room.key.app] += source.type is StreamType.WS_MJPEG
            if source.fps is not None:
                fps.add_metric(labels, source.fps)
            if source.last_frame_at is not None:
                age.add_metric(labels, max(0.0, (now - source.last_frame_at).total_seconds()))
            for reason, count in source.dropped.items():
                lost.add_metric([*labels, reason], count)
        yield from (per_room, fps, age, up, lost)
        for name, doc, tally in (
            ("streamhub_ws_ingest_cameras", "Cameras connected.", cameras),
            ("streamhub_active_streams", "Streams coming in.", active),
        ):
            family = GaugeMetricFamily(name, doc, labels=["app"])
            for app, count in tally.items():
                family.add_metric([app], count)
            yield family
        kinds = GaugeMetricFamily("streamhub_ws_ingest_viewers", "Viewers by output.", labels=["app", "kind"])
        for (app, kind), count in viewers.items():
            kinds.add_metric([app, kind], count)
        yield kinds


class _Relays(Collector):
    def __init__(self, counts: Callable[[], RelayCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        found = self._counts()
        states = GaugeMetricFamily("streamhub_relays", "Sources that relays take in.", labels=["app", "state"])
        for app in sorted({app for app, _ in found.by_state}):
            for state in IngressState:
                states.add_metric([app, state.value], found.by_state.get((app, state), 0))
        restarts = CounterMetricFamily(
            "streamhub_relay_restarts", "Sources taken in anew, by why they had ended.", labels=["app", "reason"]
        )
        for labels, count in found.restarts.items():
            restarts.add_metric(labels, count)
        yield from (states, restarts)
        yield GaugeMetricFamily("streamhub_relays_running", "Relays at work.", value=found.running)
        yield GaugeMetricFamily("streamhub_relays_most", "Most relays that may be at work.", value=found.most)
        yield GaugeMetricFamily("streamhub_rtmp_connections", "Encoders connected by RTMP.", value=found.encoders)


class _Workers(Collector):
    def __init__(self, counts: Callable[[], WorkerCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        found = self._counts()
        yield GaugeMetricFamily("streamhub_viewer_workers", "Viewer workers at work.", value=found.running)
        yield GaugeMetricFamily("streamhub_viewer_workers_viewers", "Viewers they have.", value=found.viewers)
        for name, doc, value in (
            ("pictures", "Pictures they have sent whole.", found.pictures),
            ("cpu_seconds", "CPU time they have used.", found.cpu_s),
            ("restarts", "How often one was started anew.", found.restarts),
        ):
            yield CounterMetricFamily(f"streamhub_viewer_workers_{name}", doc, value=value)
