"""All services of one process, built in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from streamhub.ingest.livekit_ingress import IngressWatch
from streamhub.ingest.whip import WhipDoor
from streamhub.livekit.ingresses import IngressApi
from streamhub.livekit.server import LiveKit, State
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.names import RoomKey
from streamhub.model.workers import WorkerCounts
from streamhub.net.guard import OutboundRules
from streamhub.services.access import Access
from streamhub.services.all_rooms import AllRooms
from streamhub.services.app_cache import AppCache
from streamhub.services.apps import Apps
from streamhub.services.health import Health
from streamhub.services.hls import Hls
from streamhub.services.ingress import Ingresses
from streamhub.services.join_tokens import JoinRules, JoinTokens
from streamhub.services.keys import Keys
from streamhub.services.last_used import LastUsed
from streamhub.services.live import AlsoTold, Applies, HearsOfLiveKit, LiveRooms, NobodyHears, NoHls, OrdersHls
from streamhub.services.livekit_egress import EgressHls
from streamhub.services.livekit_ingress import IngressBookRows, LiveKitIngresses
from streamhub.services.livekit_reconcile import LiveKitWatch
from streamhub.services.reconcile import Reconciler
from streamhub.services.relay_sources import RelaySources
from streamhub.services.sealing import SecretBox
from streamhub.services.stats import Stats
from streamhub.services.streams import Streams
from streamhub.services.tokens import Tokens
from streamhub.services.whip_sessions import WhipSessions
from streamhub.store.db import Store


@attrs.frozen
class Services:
    """The use cases, by REST word.

    ``reconciler.run``, ``watch.run``, ``ingress_watch.run``, ``whip_sessions.run`` and ``relays.run`` are tasks their
    owner must start; who runs the relays fills in ``relays``.
    ``rooms`` are those of cameras and of LiveKit together. ``egress``, if there is one, is to be run too.
    """

    apps: Apps
    tokens: Tokens
    keys: Keys
    join_tokens: JoinTokens
    ingress: Ingresses
    whip: WhipDoor
    whip_sessions: WhipSessions
    relays: RelaySources
    streams: Streams
    hls: Hls
    access: Access
    health: Health
    stats: Stats
    reconciler: Reconciler
    watch: LiveKitWatch
    ingress_watch: IngressWatch
    rooms: AllRooms
    egress: EgressHls | None = None


@attrs.frozen
class IngressRules:
    """``in_livekit``: new ingresses are LiveKit's. ``rtmp_url``: RTMP as encoders reach it, whoever takes it in."""

    in_livekit: bool = False
    rtmp_url: str | None = None


def build_services(
    store: Store,
    hub: LiveRooms,
    ledger: Applies,
    *,
    box: SecretBox,
    livekit: LiveKitKeys,
    data_dir: Path,
    now: WallClock = utc_now,
    stopping: Callable[[], bool] = lambda: False,
    join_rules: JoinRules | None = None,
    ingress_rules: IngressRules | None = None,
    outbound: OutboundRules | None = None,
    server: LiveKit | None = None,
    live: HearsOfLiveKit | None = None,
    hls: OrdersHls | None = None,
    egress: EgressHls | None = None,
    workers: Callable[[], WorkerCounts] | None = None,
) -> Services:
    """The services over one store and one hub. Starts nothing. Without ``server`` WebRTC is taken to work.

    ``live`` hears what goes on in LiveKit's rooms. ``outbound`` says what pulls may open.
    ``egress`` makes HLS instead of ``hls``. ``workers`` tells of the viewer workers.
    """
    cache = AppCache(store)

    def require_livekit() -> None:
        if server is not None:
            server.require()

    access = Access(store, livekit, LastUsed(store), cache, now)
    asked = server or LiveKit(livekit, managed=False)
    live = live or NobodyHears()
    if egress is not None:
        live = AlsoTold(live, egress.publishing)

    def present() -> bool:
        return asked.state is not State.ABSENT

    def expecting(room: RoomKey) -> None:
        if present():  # without LiveKit a token opens pictures alone
            live.expecting(room)

    rules, ingress_api = ingress_rules or IngressRules(), IngressApi(asked.client)
    ingress_watch = IngressWatch(ingress_api, IngressBookRows(store), rules.in_livekit)
    watch = LiveKitWatch(asked.client, livekit, store, ledger, now, present, ingress_watch, live)
    if egress is not None:
        egress.publishers, watch.egress_moved = watch.publishers, egress.look_soon
        egress.cameras = hls or NoHls()
    rooms = AllRooms(hub, watch)
    whip_sessions = WhipSessions(store, asked, now)
    there = LiveKitIngresses(ingress_api, ingress_watch, watch.source_status, rules.in_livekit, rules.rtmp_url)
    streams = Streams(store, rooms, ledger, now, rooms.stream_status)
    relays = RelaySources(store, box, now, outbound or OutboundRules(), rules.rtmp_url)
    ingress = Ingresses(store, whip_sessions, relays, now, there)

    def apps_changed() -> None:
        cache.forget()
        relays.changed()

    return Services(
        apps=Apps(store, rooms, box, apps_changed, now, relays.over),
        tokens=Tokens(store, now),
        keys=Keys(store, hub, now),
        join_tokens=JoinTokens(livekit, access, join_rules or JoinRules(), require_livekit, now, expecting),
        ingress=ingress,
        whip=WhipDoor(whip_sessions, whip_sessions.client),
        whip_sessions=whip_sessions,
        relays=relays,
        streams=streams,
        hls=Hls(streams, egress or hls or NoHls()),
        access=access,
        health=Health(store, hub, data_dir, now, stopping, server, ingress_watch, egress, relays, workers),
        stats=Stats(store, rooms, data_dir, ingress, ingress_watch, server, egress),
        reconciler=Reconciler(store, rooms, access),
        watch=watch,
        ingress_watch=ingress_watch,
        rooms=rooms,
        egress=egress,
    )
