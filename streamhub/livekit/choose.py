"""Which livekit-server this server uses: an external one, one of its own, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import attrs

from streamhub.errors import StreamHubError
from streamhub.livekit.config import LOOPBACK, Wishes
from streamhub.livekit.external import ExternalServer
from streamhub.livekit.managed import PROGRAM, ManagedServer, find_binary
from streamhub.livekit.server import LiveKit
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.observe.log import get_logger

log = get_logger("livekit")


class Keeper(Protocol):
    """Keeps a ``LiveKit`` true. ``run`` raises when its server has ended, to be run again; ``stop`` is for good."""

    async def run(self) -> None: ...
    async def stop(self) -> None: ...


@attrs.frozen(kw_only=True)
class Choice:
    """What the settings say about LiveKit. ``webhook_url`` is where a managed server reports to."""

    url: str | None
    binary: str | None
    udp_port: int
    tcp_port: int
    node_ip: str
    data_dir: Path
    webhook_url: str | None = None
    verbose: bool = False


def binary_places(data_dir: Path) -> list[Path]:
    """Where a livekit-server that is not on PATH may lie: the data folder, a checkout's cache."""
    checkout = Path(__file__).parents[2]
    return [data_dir / "bin" / PROGRAM, checkout / ".cache" / "livekit" / PROGRAM]


def choose_livekit(keys: LiveKitKeys, choice: Choice) -> tuple[LiveKit, Keeper | None]:
    """The server to use, and who keeps it (None: there is none). Starts nothing. Raises ConfigError."""
    if choice.url is not None:
        livekit = LiveKit(keys, managed=False)
        livekit.set_down("livekit-server has not been asked yet", "Try again in a moment.", starting=True)
        return livekit, ExternalServer(livekit, choice.url)
    livekit = LiveKit(keys, managed=True)
    binary = find_binary(choice.binary, binary_places(choice.data_dir))
    if binary is None:
        return livekit, None
    wishes = Wishes(
        keys=keys,
        udp=choice.udp_port,
        tcp=choice.tcp_port,
        node_ip=choice.node_ip,
        webhook_url=choice.webhook_url,
        verbose=choice.verbose,
    )
    livekit.set_down("livekit-server is starting", "Try again in a moment.", starting=True)
    return livekit, ManagedServer(livekit, binary, wishes, choice.data_dir)


def media_address(setting: str, hosts: list[str], lan: str | None) -> str:
    """The address clients send media to: the setting's, or by where HTTP listens. ``lan``: set if on every address."""
    if setting != "auto":
        return setting
    own = next((h for h in hosts if h), LOOPBACK)
    return lan or (own if own not in ("0.0.0.0", "::") else LOOPBACK)  # noqa: S104 - compared, not bound


def report_end(livekit: LiveKit, exc: Exception) -> None:
    """Note and log why a managed server's life ended."""
    problem = exc.message if isinstance(exc, StreamHubError) else f"{type(exc).__name__}: {exc}"
    hint = exc.hint if isinstance(exc, StreamHubError) else "Look into the server's log."
    livekit.set_down(problem, hint)
    known = isinstance(exc, StreamHubError)
    log.error(problem, hint=hint, exc_info=None if known else exc)
