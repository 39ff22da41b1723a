"""What we tell a managed livekit-server: its ports and its configuration file."""

from __future__ import annotations

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

import attrs

from streamhub.errors import Unavailable
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.net.addresses import is_loopback_host

CONFIG_FILE = "livekit.yaml"
LOOPBACK = "127.0.0.1"


@attrs.frozen
class Ports:
    """``signal`` on loopback only; ``udp`` and ``tcp`` carry media."""

    signal: int
    udp: int
    tcp: int


@attrs.frozen(kw_only=True)
class Wishes:
    """What the settings say. ``udp`` and ``tcp`` 0: free ones. ``node_ip`` is announced to clients."""

    keys: LiveKitKeys
    udp: int
    tcp: int
    node_ip: str
    webhook_url: str | None = None
    verbose: bool = False

    @property
    def local(self) -> bool:
        """Whether media is for this machine only."""
        return is_loopback_host(self.node_ip)


def choose_ports(wishes: Wishes, last: Ports | None) -> Ports:
    """Ports that are free now: those asked for, those of last time, or any. Raises Unavailable that names the setting.

    Somebody may take one before livekit-server does; then it ends, and we choose again. Blocking, but only in the
    kernel's memory.
    """
    udp = _media_port(socket.SOCK_DGRAM, wishes.udp, last.udp if last else 0, "STREAMHUB_RTC_UDP_PORT")
    tcp = _media_port(socket.SOCK_STREAM, wishes.tcp, last.tcp if last else 0, "STREAMHUB_RTC_TCP_PORT")
    signal = _free(socket.SOCK_STREAM, last.signal if last else 0, LOOPBACK)
    while signal is None or signal == tcp:
        signal = _free(socket.SOCK_STREAM, 0, LOOPBACK)
    return Ports(signal, udp, tcp)


def _media_port(kind: socket.SocketKind, wanted: int, last: int, setting: str) -> int:
    if wanted:
        if _free(kind, wanted) is None:
            word = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
            raise Unavailable(
                f"livekit-server cannot start: {word} port {wanted} is in use",
                code="livekit_down",
                hint=f"Another program (another StreamHub, another livekit-server?) has it: stop that, or set {setting}"
                " to another port (0 = any free one).",
            )
        return wanted
    port = (_free(kind, last) if last else None) or _free(kind, 0)
    if port is None:
        raise Unavailable("no free port for livekit-server", hint=f"Set {setting}.")
    return port


def _free(kind: socket.SocketKind, port: int, host: str = "") -> int | None:
    """The port (0: any) if nobody has it on this address (every one, by default)."""
    family = socket.AF_INET if host or not socket.has_dualstack_ipv6() else socket.AF_INET6
    with socket.socket(family, kind) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind is socket.SOCK_STREAM:  # as Go's listeners do: connections that are closing do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            if kind is socket.SOCK_STREAM:
                probe.listen(1)
            return int(probe.getsockname()[1])
        except OSError as exc:
            if exc.errno in (errno.EADDRINUSE, errno.EACCES):
                return None
            raise


def format_config(wishes: Wishes, ports: Ports) -> str:
    """The configuration file. JSON is YAML, and needs no other library."""
    rtc: dict[str, Any] = {
        "udp_port": ports.udp,
        "tcp_port": ports.tcp,
        "node_ip": wishes.node_ip,
        "use_external_ip": False,
        "enable_loopback_candidate": wishes.local,
        # With an empty list it sends every client to public STUN servers. Ours does not answer and is not needed:
        # node_ip is announced as it is.
        "stun_servers": [f"{_bracketed(wishes.node_ip)}:{ports.udp}"],
    }
    if wishes.local:
        rtc["ips"] = {"includes": ["127.0.0.0/8", "::1/128"]}
    config: dict[str, Any] = {
        "port": ports.signal,
        "bind_addresses": [LOOPBACK],
        "keys": {wishes.keys.api_key: wishes.keys.api_secret},
        "rtc": rtc,
        "logging": {"json": True, "level": "info" if wishes.verbose else "warn"},
    }
    if wishes.webhook_url is not None:
        config["webhook"] = {"api_key": wishes.keys.api_key, "urls": [wishes.webhook_url]}
    return json.dumps(config, indent=2) + "\n"


def write_config(path: Path, text: str) -> None:
    """The file holds ``text`` and only its owner can read it. Blocking. Raises OSError."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
