"""How libav is told to open a source: time-outs, and which protocols it may speak."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from streamhub.relay.failures import Failure
from streamhub.wire.relay_control import Start

# What an address of each scheme may lead libav to. Nothing of it reads files of this machine.
_ALLOWED = {
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsp,rtsps,rtp,srtp,tcp,udp,tls",
    "http": "http,https,httpproxy,tcp,tls,crypto,hls",
    "https": "http,https,httpproxy,tcp,tls,crypto,hls",
}


@attrs.frozen
class Opening:
    """Arguments of ``av.open``."""

    format: str | None
    options: dict[str, str]
    timeout_s: tuple[float, float]


def _micro(seconds: float) -> str:
    return str(round(seconds * 1_000_000))


def opening_of(start: Start) -> Opening:
    """For a source of any kind but ``jpeg``. Raises Failure (an address of another kind)."""
    timeout = (start.stall_s + start.probe_s, start.stall_s)
    # A few pictures tell the frame rate well enough; the default waits for twenty of them.
    usual = {"analyzeduration": _micro(start.probe_s), "fpsprobesize": "3"}
    if start.kind == "flv":
        # Both tracks of an encoder are there within a second; waiting longer for one that never comes costs the start.
        return Opening("flv", usual | {"analyzeduration": _micro(min(start.probe_s, 1.0))}, timeout)
    scheme = urlsplit(start.url or "").scheme.lower()
    wanted = ("rtsp", "rtsps") if start.kind == "rtsp" else ("http", "https")
    if scheme not in wanted:
        raise Failure(f"an address of the kind {wanted[0]}:// is needed", "bad_url", "Correct the address.")
    usual |= {"protocol_whitelist": _ALLOWED[scheme], "user_agent": "StreamHub"}
    if start.kind == "http":
        proxy = {"http_proxy": start.proxy} if start.proxy else {}
        return Opening(
            None, usual | proxy | {"rw_timeout": _micro(start.stall_s), "strict_mime_boundary": "0"}, timeout
        )
    by = {"rtsp_flags": "prefer_tcp"} if start.transport == "auto" else {"rtsp_transport": start.transport}
    return Opening(
        "rtsp",
        usual
        | by
        | {
            "timeout": _micro(start.stall_s),
            "allowed_media_types": "video+audio",
            "max_delay": "500000",  # a packet of UDP that is later than this is given up
            "buffer_size": "1048576",
        },
        timeout,
    )
