"""Everything that relays need, put together: the guarded way out, the workers' WHIP door, pulls, and RTMP."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import attrs
import trio

from streamhub.ingest.camera_relays import CameraRelays
from streamhub.ingest.relay_states import activity_of, counts_of, probe_of
from streamhub.ingest.relay_whip import RelayWhip
from streamhub.ingest.relays import Relays
from streamhub.ingest.rtmp_server import RtmpServer
from streamhub.ingest.taps import Taps
from streamhub.livekit.whip import WhipClient
from streamhub.model.ingress import Activity
from streamhub.model.relays import Probe, PullSource, RelayCounts
from streamhub.model.source_url import RTSP, parse_source_url
from streamhub.net.guard_proxy import GuardedProxy
from streamhub.rooms.hub import Hub
from streamhub.services.relay_sources import RelaySources
from streamhub.wire.relay_control import Start

RTMP_GRACE_S = 0.5
# As long as a worker takes at most to tidy up.
RELAYS_GRACE_S = 1.5


@attrs.define(eq=False)
class Relaying:
    """``run`` is a task its owner must start. Also what ``services.relay_sources`` asks of whoever runs the relays."""

    sources: RelaySources
    whip: RelayWhip
    proxy: GuardedProxy
    relays: Relays = attrs.field(init=False)
    taps: Taps = attrs.field(init=False)
    rtmp: RtmpServer = attrs.field(init=False)

    @classmethod
    def over(cls, sources: RelaySources, hub: Hub, client: WhipClient, hook_url: str, most: int) -> Relaying:
        """All of it over the rows and the rooms; ``hook_url`` is the listener with the workers' WHIP door, ``most`` how
        many relays may be at work at a time.
        """
        made = cls(sources, RelayWhip(client, hook_url), GuardedProxy(sources.outbound))
        made.relays = Relays(hub, made.whip, sources, made.prepare, most=most, explain=made.proxy.refusal)
        made.taps = Taps(hub, made.relays, client.livekit)
        hub.accompany, hub.on_published = CameraRelays(made.relays).run, made.taps.look
        made.rtmp = RtmpServer(sources, made.relays)
        sources.changed = made.relays.look_soon
        sources.states = sources.ends = sources.prober = made
        return made

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        tls: ssl.SSLContext | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take sources in until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.proxy.run)
            nursery.start_soon(self.sources.run)
            nursery.start_soon(self.relays.run)
            nursery.start_soon(self.taps.run)
            await nursery.start(self.rtmp.serve, listeners, tls)
            task_status.started()

    async def stop(self) -> None:
        """Encoders are told that the server stops; nothing is pulled any more."""
        async with trio.open_nursery() as both:
            both.start_soon(self.rtmp.stop, RTMP_GRACE_S)
            both.start_soon(self.relays.stop, RELAYS_GRACE_S)

    async def prepare(self, source: PullSource) -> Start:
        """What a worker is told of a source. Raises OutboundDenied, HostUnknown."""
        url = parse_source_url(source.url)
        address = (await self.sources.outbound.pin(url.host))[0]
        height, gop_s = source.max_height, source.max_gop_s
        if url.scheme in RTSP:
            # A camera's redirect is not followed: so the address judged is the one opened.
            return Start(kind="rtsp", url=url.at(address), transport=source.transport, max_height=height, gop_s=gop_s)
        # Redirects and playlists lead on: each is judged by the proxy.
        proxy = self.proxy.url(source.grant.ingress_id)
        return Start(kind="http", url=url.full, proxy=proxy, max_height=height, gop_s=gop_s)

    def activity(self, ingress_id: str) -> Activity | None:
        """See ``model.relays.RelayStates``."""
        running = self.relays.find(ingress_id)
        return None if running is None else activity_of(running)

    def counts(self) -> RelayCounts:
        """See ``model.relays.RelayStates``."""
        return counts_of(self.relays, self.rtmp.connections)

    async def disconnect(self, ingress_id: str) -> None:
        """Its stream was deleted: its encoder is disconnected; a pull begins anew, for its row stays."""
        await self.relays.end(ingress_id, "deleted", "this stream was ended by an administrator")

    async def end(self, ingress_id: str) -> None:
        """See ``model.relays.EndsRelay``."""
        await self.relays.end(ingress_id)

    async def probe(self, source: PullSource) -> Probe:
        """See ``model.relays.ProbesSource``."""
        return await probe_of(await self.prepare(source), self.relays.open_worker)
