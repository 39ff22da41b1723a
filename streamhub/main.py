"""The server: one Trio process that owns everything.

``serve`` composes the parts and holds the root nursery: ledger, hub, reconciler, front and, with ``--demo``, a
simulated camera. It is told to stop by an event and then drains within five seconds.
"""

from __future__ import annotations

import resource
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio
from hypercorn.utils import wrap_app

from streamhub import __version__
from streamhub.doors import make_route, no_doors
from streamhub.errors import ConfigError
from streamhub.fanout.crew import Crew
from streamhub.ingest.camera_ws import CameraDoor
from streamhub.ingest.livekit_ingress import report_ingress_watch
from streamhub.livekit.choose import Choice, Keeper, choose_livekit, media_address, report_end
from streamhub.livekit.egresses import Bucket, EgressApi, EgressOutput
from streamhub.livekit.server import LiveKit
from streamhub.livekit.signal_pipe import SignalDoor
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.names import AppName, RoomKey, RoomName
from streamhub.model.urls import Base
from streamhub.net.addresses import bracketed, is_any_host, lan_address
from streamhub.net.front import Front
from streamhub.net.guard import OutboundRules
from streamhub.net.hypercorn import hypercorn_config
from streamhub.net.listeners import Address, open_tcp, open_unix, remove_socket_file, tls_context
from streamhub.net.peers import Peers, PeerScope
from streamhub.observe.log import get_logger
from streamhub.observe.memory import GiveBack, keep_what_started, trim, use_one_heap
from streamhub.observe.metrics import Metrics
from streamhub.playback.placeholder import Placeholders
from streamhub.playback.requests import Playback
from streamhub.relaying import Relaying
from streamhub.rooms.backoff import run_supervised
from streamhub.rooms.hls_files import HlsFiles
from streamhub.rooms.hls_leases import HlsLeases
from streamhub.rooms.hub import Hub
from streamhub.services.batching import Batched
from streamhub.services.bootstrap import DATABASE, Prepared, make_data_dir, only_server, prepare
from streamhub.services.bundle import IngressRules, Services, build_services
from streamhub.services.join_tokens import JoinRules
from streamhub.services.ledger import Ledger
from streamhub.services.livekit_egress import EgressHls, report_egress
from streamhub.services.livekit_reconcile import LiveKitWatch, report_watch
from streamhub.settings import Bind, Settings
from streamhub.store import streams as stream_rows
from streamhub.store.db import Store, open_store
from streamhub.web.app import Deps, create_app
from streamhub.web.livekit_hook import HOOK_PATH, create_hook_app
from streamhub.web.pages import PagesDeps

# The room of ``--demo``.
DEMO = RoomKey(AppName("live"), RoomName("live-demo"))
SWITCH_INTERVAL_S = 0.0005
# Cameras and viewers get this long to take their close, then every connection is cut: five seconds in all.
ROOMS_GRACE_S = 2.0
CONNECTIONS_GRACE_S = 1.0

log = get_logger("main")


@attrs.frozen
class Running:
    """A server that answers: where it listens, the base of its URLs, the admin token if this start made it.

    ``base`` is None when only a proxy reaches it, by a Unix socket, and nobody said under which address.
    """

    addresses: tuple[Address, ...]
    base: Base | None
    data_dir: Path
    lan: str | None
    demo: RoomKey | None
    livekit: LiveKit
    rtmp: tuple[Address, ...]
    admin_token: str | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Options:
    """What the command line adds to the settings."""

    lan: bool = False
    demo: bool = False


async def serve(
    settings: Settings,
    options: Options,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set, then drain. Raises ConfigError or StoreError if it cannot start."""
    raise_descriptor_limit()
    use_one_heap()
    # SQLite's threads and the loop share the GIL: with the default of 5 ms a busy loop makes each row read take 20 ms.
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    tls = tls_context(settings.tls_cert, settings.tls_key)
    binds = [reachable_bind(b) if options.lan else b for b in settings.http_bind]
    await trio.to_thread.run_sync(make_data_dir, settings.data_dir)
    async with (
        open_listeners(binds) as (listeners, addresses),
        _alone(settings.data_dir) as tell_commands,
        # The managed LiveKit reports here, whatever the public listeners are (TLS, a Unix socket).
        open_listeners([Bind("127.0.0.1", 0)]) as (hooks, (hook_address,)),
        open_store(settings.data_dir / DATABASE) as store,
    ):
        prepared = await prepare(
            store,
            settings.data_dir,
            version=__version__,
            admin_token=settings.admin_token,
            livekit=livekit_keys(settings),
        )
        lan = lan_address() if any(is_any_host(a.host) for a in addresses) else None
        base = _own_base(settings, addresses, tls is not None, lan)
        peers = Peers(settings.trusted_proxies, base, _public_base(settings), lan)
        metrics = Metrics()
        ledger = Ledger(store, metrics)
        placeholder = Placeholders()

        async def last_seen(keys: list[RoomKey]) -> dict[RoomKey, datetime]:
            return await store.read(stream_rows.last_seen, keys)

        hls_files = HlsFiles(settings.data_dir / "hls")
        await hls_files.clean()  # a server that was killed has left its segments
        hub = Hub(ledger.apply, placeholder, Batched(last_seen).get, hls_files=hls_files)
        choice = _livekit_choice(settings, addresses, lan, f"http://{hook_address}{HOOK_PATH}")
        livekit, keeper = choose_livekit(prepared.livekit, choice)
        crew = Crew(settings.viewer_workers)
        services = _services(store, hub, ledger, prepared, settings, stop, livekit, crew)
        metrics.watch_rooms(
            services.rooms.statuses,
            lambda: (hub.totals.frames, hub.totals.bytes, hub.totals.dropped),
        )
        metrics.watch_workers(crew.counts)
        demo = DEMO if options.demo else None
        front = Front(
            wrap_app(PeerScope(_web(services, hub, metrics, settings, tls, demo), peers), 0, "asgi"),
            hypercorn_config(),
            make_route(
                CameraDoor(hub, services.access, ledger.apply, lambda r: metrics.handshakes.labels(r).inc()),
                Playback(hub, services.access, crew),
                placeholder,
                hub.last_seen,
                SignalDoor(livekit),
                None if services.egress is None else services.egress.locate,
            ),
            peers,
            tls,
        )
        most = settings.max_relays
        relaying = Relaying.over(services.relays, hub, services.whip.client, f"http://{hook_address}", most)
        metrics.watch_relays(relaying.counts)
        services.watch.figures, services.watch.end_relay = relaying.activity, relaying.disconnect
        internal = create_hook_app(services.watch, relaying.whip)
        hook = Front(wrap_app(internal, 0, "asgi"), hypercorn_config(), no_doors, peers)
        async with open_rtmp(settings, lan=options.lan) as (rtmp, rtmp_addresses, problem), trio.open_nursery() as root:
            services.relays.rtmp_port = rtmp_addresses[0].port if rtmp_addresses else None
            services.relays.rtmp_problem = problem
            await root.start(ledger.run)
            await root.start(hub.run)
            root.start_soon(services.reconciler.run)
            await root.start(hook.serve, hooks)
            root.start_soon(run_supervised, services.watch.run, report_watch, name="watch")
            root.start_soon(services.whip_sessions.run)
            root.start_soon(run_supervised, services.ingress_watch.run, report_ingress_watch, name="ingress watch")
            if services.egress is not None:
                root.start_soon(run_supervised, services.egress.run, report_egress, name="egress watch")
            await root.start(relaying.run, rtmp, tls)
            if keeper is not None:
                root.start_soon(run_supervised, keeper.run, partial(report_end, livekit), name="livekit")
            if crew.wanted:
                root.start_soon(crew.run)
            await root.start(front.serve, listeners)
            root.start_soon(keep_what_started)
            root.start_soon(GiveBack(lambda: front.connections, trim).run)
            tell_commands(base.http)
            known = None if _public_base(settings) is None and all(a.path for a in addresses) else base
            task_status.started(
                Running(addresses, known, settings.data_dir, lan, demo, livekit, rtmp_addresses, prepared.admin_token)
            )
            if demo is not None:
                from streamhub.demo import run_demo  # others need no camera: a twentieth of their start

                root.start_soon(run_demo, services, addresses, tls is not None, demo)
            await stop.wait()
            await drain(front, hook, services.watch, hub, ledger, keeper, relaying)
            root.cancel_scope.cancel()


async def drain(
    front: Front,
    hook: Front,
    watch: LiveKitWatch,
    hub: Hub,
    ledger: Ledger,
    keeper: Keeper | None,
    relaying: Relaying,
) -> None:
    """Let everybody leave in order: cameras and viewers first, then LiveKit and open requests, then the last rows."""
    log.info("stopping")
    front.stop_accepting()
    await watch.stop()
    await relaying.stop()
    await hub.shutdown(ROOMS_GRACE_S)
    async with trio.open_nursery() as both:  # LiveKit says good-bye through connections of ours
        if keeper is not None:
            both.start_soon(keeper.stop)
        both.start_soon(front.stop, CONNECTIONS_GRACE_S)
        both.start_soon(hook.stop, CONNECTIONS_GRACE_S)
    await ledger.drain()


@asynccontextmanager
async def _alone(data_dir: Path) -> AsyncIterator[Callable[[str], None]]:
    with only_server(data_dir) as tell:
        yield tell


def _egress(settings: Settings, hub: Hub, livekit: LiveKit) -> EgressHls | None:
    """HLS by LiveKit's egress service, if the settings say so."""
    if settings.egress != "livekit" or settings.egress_base_url is None:
        return None
    one, name = settings, settings.egress_s3_bucket
    bucket = name and Bucket(
        name, one.egress_s3_endpoint, one.egress_s3_region, one.egress_s3_key, one.egress_s3_secret
    )
    output = EgressOutput(settings.egress_folder, bucket or None)
    return EgressHls(hub, EgressApi(livekit.client, output), settings.egress_base_url)


def _services(
    store: Store,
    hub: Hub,
    ledger: Ledger,
    prepared: Prepared,
    settings: Settings,
    stop: trio.Event,
    livekit: LiveKit,
    crew: Crew,
) -> Services:
    return build_services(
        store,
        hub,
        ledger,
        box=prepared.box,
        livekit=prepared.livekit,
        data_dir=settings.data_dir,
        stopping=stop.is_set,
        server=livekit,
        live=hub,
        hls=HlsLeases(hub),
        egress=_egress(settings, hub, livekit),
        join_rules=join_rules(settings),
        ingress_rules=IngressRules(settings.ingress == "livekit", settings.public_rtmp_url),
        outbound=OutboundRules(settings.outbound_allow),
        workers=crew.counts,
    )


def join_rules(settings: Settings) -> JoinRules:
    """What the settings say about join tokens."""
    return JoinRules(
        publish_ttl_s=settings.join_ttl_publish, view_ttl_s=settings.join_ttl_view, ws_url=settings.public_ws_url
    )


def _web(
    services: Services, hub: Hub, metrics: Metrics, settings: Settings, tls: ssl.SSLContext | None, demo: RoomKey | None
) -> Any:
    async def public_rooms() -> Sequence[RoomKey]:
        found = await services.streams.public_rooms()
        return found if demo is None or demo in found else [demo, *found]

    return create_app(
        Deps(
            services=services,
            hub=hub,
            metrics=metrics,
            version=__version__,
            cors_origins=settings.cors_origins,
            metrics_token=settings.metrics_token,
            tls=tls is not None,
            pages=PagesDeps(
                services.access.find_room,
                public_rooms,
                services.join_tokens.rules.ws_url,
                None if services.egress is None else services.egress.origin,
            ),
        )
    )


@asynccontextmanager
async def open_listeners(
    binds: Sequence[Bind],
    setting: str = "STREAMHUB_HTTP_BIND",
) -> AsyncIterator[tuple[list[trio.SocketListener], tuple[Address, ...]]]:
    """Listeners of all binds, closed at the end. Raises ConfigError; then none stays open."""
    opened: list[tuple[trio.SocketListener, Address]] = []
    try:
        for bind in binds:
            if bind.path:
                opened.append(open_unix(bind.path, setting=setting))
            else:
                opened.append(open_tcp(bind.host, bind.port, setting=setting))
        yield [one for one, _ in opened], tuple(address for _, address in opened)
    finally:
        for listener, address in opened:
            listener.socket.close()
            if address.path:
                remove_socket_file(address.path)


@asynccontextmanager
async def open_rtmp(
    settings: Settings, *, lan: bool
) -> AsyncIterator[tuple[list[trio.SocketListener], tuple[Address, ...], ConfigError | None]]:
    """RTMP's listeners; none, and why, if its port is taken: another program's RTMP is no reason to have no cameras."""
    binds = [reachable_bind(b) if lan else b for b in settings.rtmp_bind]
    async with AsyncExitStack() as stack:
        problem: ConfigError | None = None
        listeners: list[trio.SocketListener] = []
        addresses: tuple[Address, ...] = ()
        try:
            listening = open_listeners(binds, setting="STREAMHUB_RTMP_BIND")
            listeners, addresses = await stack.enter_async_context(listening)
        except ConfigError as exc:
            log.warning("RTMP is off", error=exc.message, hint=exc.hint)
            problem = exc
        yield listeners, addresses, problem


def reachable_bind(bind: Bind) -> Bind:
    """The bind that ``--lan`` makes of one: the same port on every address."""
    return bind if bind.path else attrs.evolve(bind, host="::" if ":" in bind.host else "0.0.0.0")  # noqa: S104


def raise_descriptor_limit() -> None:
    """Raise the limit of open files as far as this user may: each camera and viewer is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < 4096:
        log.warning("few open files allowed", limit=hard, hint="raise 'ulimit -n': each camera and viewer needs one")


def _livekit_choice(settings: Settings, addresses: Sequence[Address], lan: str | None, webhook_url: str) -> Choice:
    return Choice(
        url=settings.livekit_url,
        binary=settings.livekit_binary,
        udp_port=settings.rtc_udp_port,
        tcp_port=settings.rtc_tcp_port,
        node_ip=media_address(settings.media_address, [a.host for a in addresses], lan),
        data_dir=settings.data_dir,
        webhook_url=webhook_url,
        verbose=settings.log_level == "debug",
    )


def livekit_keys(settings: Settings) -> LiveKitKeys | None:
    """The keys of the settings; None: the data folder has ours."""
    if settings.livekit_api_key is None or settings.livekit_api_secret is None:
        return None
    return LiveKitKeys(settings.livekit_api_key, settings.livekit_api_secret)


def _public_base(settings: Settings) -> Base | None:
    return None if settings.public_url is None else Base.of(settings.public_url)


def _own_base(settings: Settings, addresses: Sequence[Address], tls: bool, lan: str | None) -> Base:
    """The base we would call ourselves by: the public URL, else the LAN address, else the first listener."""
    if (public := _public_base(settings)) is not None:
        return public
    scheme = "https" if tls else "http"
    tcp = [a for a in addresses if not a.path]
    if not tcp:
        return Base(scheme, "localhost")
    first = next((a for a in tcp if is_any_host(a.host)), tcp[0])
    host = (lan or "127.0.0.1") if is_any_host(first.host) else first.host
    return Base(scheme, f"{bracketed(host)}:{first.port}")
