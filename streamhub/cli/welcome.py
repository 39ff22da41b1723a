"""What a person reads when the server has started: what runs where, what to open, who can reach it."""

from __future__ import annotations

from streamhub import __version__
from streamhub.livekit.server import LiveKit, State
from streamhub.main import Options, Running
from streamhub.model.urls import RoomUrls
from streamhub.net.addresses import bracketed, is_any_host, is_loopback_host
from streamhub.services.bootstrap import ADMIN_TOKEN_FILE


def welcome(running: Running, options: Options, *, terminal: bool) -> str:
    """The start-up text. The admin token is shown on a terminal only, and only by the start that made it."""
    rows = [("Listening on", ", ".join(map(str, running.addresses))), *_urls(running)]
    rows += [
        ("RTMP", _rtmp(running)),
        ("WebRTC", _webrtc(running.livekit)),
        ("Data folder", str(running.data_dir.resolve())),
    ]
    token_file = running.data_dir.resolve() / ADMIN_TOKEN_FILE
    if running.admin_token is not None and terminal:
        rows.append(("Admin token", f"{running.admin_token}   (also in {token_file})"))
    elif token_file.exists():
        rows.append(("Admin token", f"in {token_file}"))
    width = max(len(name) for name, _ in rows)
    lines = [f"StreamHub {__version__} is running.", ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in rows]
    return "\n".join([*lines, "", *_reach(running, options), "  Stop with Ctrl-C.", ""])


def _urls(running: Running) -> list[tuple[str, str]]:
    base = running.base
    if base is None:
        return [("Start page", "/ at your proxy's address; set STREAMHUB_PUBLIC_URL to it for true URLs here")]
    demo = [] if running.demo is None else [("Demo camera", RoomUrls(base, running.demo).play)]
    return [
        *demo,
        ("Start page", f"{base.http}/"),
        ("API", f"{base.http}/api/v1/docs"),
        ("Cameras", f"{base.ws}/ingest/ws?app=live&room=cam1   (make a key: streamhub keys create cam1)"),
    ]


def _webrtc(livekit: LiveKit) -> str:
    if livekit.state is State.ABSENT:
        return "not available: there is no livekit-server   (get one: streamhub livekit install)"
    return "by a livekit-server of its own" if livekit.managed else "by the livekit-server of STREAMHUB_LIVEKIT_URL"


def _rtmp(running: Running) -> str:
    if not running.rtmp:
        return "off"
    first = running.rtmp[0]
    host = (running.lan or "127.0.0.1") if is_any_host(first.host) else first.host
    return f"rtmp://{bracketed(host)}:{first.port}/live   (make a key: POST /api/v1/apps/live/ingress)"


def _reach(running: Running, options: Options) -> list[str]:
    hosts = [a.host for a in running.addresses if not a.path]
    if any(is_any_host(h) for h in hosts):
        if running.lan is None:
            return [
                "  It listens on every address, but this machine has no network now: only this machine can reach it."
            ]
        return [
            f"  Everybody on your network can reach it at {running.lan}.",
            "  There is no TLS unless you set tls_cert and tls_key, or put a proxy in front (docs/reverse-proxy.md).",
        ]
    if not hosts:
        more = "--lan adds no address to a Unix socket: put a TCP one into http_bind, or a" if options.lan else "Put a"
        return [f"  Only programs of this machine reach a Unix socket. {more} proxy in front (docs/reverse-proxy.md)."]
    if all(is_loopback_host(h) for h in hosts):
        again = "streamhub serve --lan" + (" --demo" if options.demo else "")
        return ["  Only this machine can reach it. To let your network in:  " + again]
    return ["  Whoever can reach the address above can reach it."]
