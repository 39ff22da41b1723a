"""Stands in for the supervisor of the relays: tells what the test says, remembers what it was asked."""

from __future__ import annotations

import attrs
import trio

from streamhub.errors import StreamHubError
from streamhub.model.ingress import Activity
from streamhub.model.relays import Plan, Probe, ProbedTrack, PullSource
from streamhub.services.relay_sources import RelaySources

FOUND = Probe(
    tracks=(
        ProbedTrack(kind="video", codec="h264", profile="Main", width=1280, height=720, fps=15.0),
        ProbedTrack(kind="audio", codec="pcm_alaw", rate=8000, channels=1),
    ),
    gop_s=2.0,
    bitrate=1_500_000,
    plans=(
        Plan(output="webrtc", video="copy", audio="encode", why="WebRTC wants Opus"),
        Plan(output="hls", video="copy", audio="encode", why="HLS wants AAC"),
        Plan(output="mjpeg", video="encode", audio="none", why="decoded while somebody watches"),
    ),
    hints=("set the camera's key-frame interval to 1 s",),
    jpeg=b"\xff\xd8\xff\xd9",
)


@attrs.define(eq=False)
class FakeRelays:
    """``changes`` counts calls of ``changed``; ``hold`` keeps probes and ends waiting."""

    activities: dict[str, Activity] = attrs.field(factory=dict)
    found: Probe | StreamHubError = FOUND
    probed: list[PullSource] = attrs.field(factory=list)
    ended: list[str] = attrs.field(factory=list)
    changes: int = 0
    hold: bool = False

    def join(self, sources: RelaySources) -> FakeRelays:
        """Be the supervisor of those."""
        sources.states = sources.ends = sources.prober = self
        sources.changed = self.changed
        return self

    def changed(self) -> None:
        self.changes += 1

    def activity(self, ingress_id: str) -> Activity | None:
        return self.activities.get(ingress_id)

    async def end(self, ingress_id: str) -> None:
        assert self.changes, "an end that comes before the change"
        self.ended.append(ingress_id)
        await self._wait()

    async def probe(self, source: PullSource) -> Probe:
        self.probed.append(source)
        await self._wait()
        if isinstance(self.found, StreamHubError):
            raise self.found
        return self.found

    async def _wait(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.hold:
            await trio.sleep_forever()
