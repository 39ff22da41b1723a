"""Prometheus metrics: counters told by the parts, gauges read from the live rooms at scrape time.

Names as in the contract (events-and-metrics §4), plus per-room fps, age, drops and viewers.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

import attrs
import trio
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
from streamhub.model.streams import RoomStatus, SourceStatus, State, StreamType
from streamhub.model.workers import WorkerCounts

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# In a turn of its own each: more would hold up cameras, of which 16 have their turn between two of these.
LINES_AT_ONCE = 20
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

    async def exposition(self) -> bytes:
        """The text of ``/metrics`` (format 0.0.4), made some lines at a time: it takes 50 ms with 600 rooms.

        Not in a thread: that would keep the interpreter for half a millisecond at each system call of each picture.
        """
        text: list[bytes] = []
        for family in self.registry.collect():
            for at in range(0, max(1, len(family.samples)), LINES_AT_ONCE):
                await trio.lowlevel.checkpoint()
                part = Metric(family.name, family.documentation, family.type)
                part.samples = family.samples[at : at + LINES_AT_ONCE]
                lines = generate_latest(_Made(part))
                text.append(lines if at == 0 else lines.split(b"\n", 2)[2])  # its head is there already
        return b"".join(text)


@attrs.frozen
class _Made(Collector):
    metric: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.metric,)


class _Rooms(Collector):
    """Each family is made when it is asked for: between two of them others have their turn."""

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
        now = self._clock()
        cameras: Tally[str] = Tally()
        active: Tally[str] = Tally()
        viewers: Tally[tuple[str, str]] = Tally()
        named = [([room.key.app, room.key.room], room) for room in rooms]
        sources: list[tuple[list[str], SourceStatus]] = []
        for labels, room in named:
            for output, count in room.viewers.items():
                viewers[room.key.app, _KINDS.get(output, output)] += count
            if (source := room.source) is not None:
                sources.append((labels, source))
                active[room.key.app] += 1
                cameras[room.key.app] += source.type is StreamType.WS_MJPEG
        yield _per_room(
            "streamhub_stream_viewers",
            "Viewers of a room.",
            ((labels, sum(room.viewers.values())) for labels, room in named),
        )
        yield _per_room(
            "streamhub_stream_fps",
            "Frames a second over five seconds.",
            ((labels, source.fps) for labels, source in sources if source.fps is not None),
        )
        yield _per_room(
            "streamhub_stream_frame_age_seconds",
            "Age of the last frame.",
            (
                (labels, max(0.0, (now - source.last_frame_at).total_seconds()))
                for labels, source in sources
                if source.last_frame_at is not None
            ),
        )
        yield _per_room(
            "streamhub_stream_up",
            "1 while the picture is live.",
            ((labels, 1.0 if room.state is State.LIVE else 0.0) for labels, room in named),
        )
        lost = CounterMetricFamily(
            "streamhub_stream_dropped_frames",
            "Frames of the present source not published.",
            labels=["app", "room", "reason"],
        )
        for labels, source in sources:
            for reason, count in source.dropped.items():
                lost.add_metric([*labels, reason], count)
        yield lost
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


def _per_room(name: str, doc: str, values: Iterable[tuple[list[str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, doc, labels=["app", "room"])
    for labels, value in values:
        family.add_metric(labels, value)
    return family


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
