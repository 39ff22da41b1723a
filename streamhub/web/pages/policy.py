"""Headers of the pages: what they may load and use, who may frame them, and who may keep a copy."""

from __future__ import annotations

import re

from streamhub.model.urls import Base

ANYBODY = "* file:"
"""Ancestors of a public embed. ``*`` covers web origins only; a page opened from disk needs its scheme named."""
OURSELVES = "'self'"

DEVICES = ("camera", "microphone", "display-capture")

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}", re.ASCII)


def content_security_policy(
    base: Base, ancestors: str, rtc_url: str | None = None, hls_origin: str | None = None
) -> str:
    """The policy of a page: own scripts, styles and media, own sockets, nothing inline, nothing from elsewhere.

    The socket's origin is named although ``'self'`` covers it today: Safari before 15.4 does not match ``ws:`` by it.
    A host that could end the directive is left out. ``rtc_url`` is the WebSocket of a LiveKit that browsers reach
    elsewhere: its origin is allowed, over HTTP too, where LiveKit's client asks why a socket was refused.
    WebRTC's media, which are streams and no addresses, need no rule. ``hls_origin``: where HLS comes from elsewhere.
    """
    sockets = f" {base.ws}" if _HOST.fullmatch(base.host) else ""
    if rtc_url is not None and _HOST.fullmatch(rtc_url.partition("://")[2]):
        # http for ws, https for wss.
        sockets += f" {rtc_url} http{rtc_url.removeprefix('ws')}"
    media = f" {hls_origin}" if hls_origin is not None and _HOST.fullmatch(hls_origin.partition("://")[2]) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            f"media-src 'self' blob:{media}",
            f"connect-src 'self'{sockets}{media}",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {ancestors}",
        )
    )


def page_headers(
    base: Base,
    *,
    ancestors: str = OURSELVES,
    secret: bool = False,
    rtc_url: str | None = None,
    hls_origin: str | None = None,
    devices: bool = False,
) -> dict[str, str]:
    """All headers of a page. ``secret``: its address carries a token, so no cache may keep it.

    ``devices``: it may ask for camera, microphone and screen; no other page may, whatever frames it.
    Other pages are ``no-cache``, not ``no-store``: a browser then keeps them alive for its Back button.
    """
    return {
        "Content-Security-Policy": content_security_policy(base, ancestors, rtc_url, hls_origin),
        "Permissions-Policy": ", ".join(f"{name}={'(self)' if devices else '()'}" for name in DEVICES),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store" if secret else "no-cache",
    }
