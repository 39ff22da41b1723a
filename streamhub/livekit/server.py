"""The livekit-server we use, whichever it is: where it is, how it is, and how to call it."""

from __future__ import annotations

from enum import StrEnum

import attrs

from streamhub.errors import Unavailable
from streamhub.livekit.client import LiveKitClient
from streamhub.livekit.session import Session
from streamhub.livekit.tokens import LiveKitKeys

# The first version that takes WHIP by itself: our WHIP, and what relays send, need it.
WHIP_VERSION = (1, 9, 1)
OLD_HINT = "Upgrade it to 1.9.1 or newer. Join tokens work with it as it is."
INSTALL_HINT = (
    "Install livekit-server (streamhub livekit install), or set STREAMHUB_LIVEKIT_URL and its key and secret to one"
    " that runs; then start StreamHub again."
)


class State(StrEnum):
    """``absent``: there is none to use. ``starting`` and ``down`` pass by themselves."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    DOWN = "down"


@attrs.define(eq=False)
class LiveKit:
    """One livekit-server, managed or external; there is always such an object, ``absent`` if there is no server.

    ``url`` may change when a managed server is restarted: read it anew for each use.
    """

    keys: LiveKitKeys
    managed: bool
    url: str | None = None
    state: State = State.ABSENT
    version: str | None = None
    problem: str = ""
    hint: str = INSTALL_HINT
    session: Session = attrs.field(factory=Session)
    client: LiveKitClient = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.client = LiveKitClient(self.require, self.keys, self.session)

    def require(self) -> str:
        """The http(s) URL of a server that is there. Raises Unavailable with what to do."""
        if self.state is State.ABSENT:
            raise Unavailable("WebRTC needs livekit-server, and there is none", code="no_livekit", hint=self.hint)
        if self.state is not State.READY or self.url is None:
            raise Unavailable(
                self.problem or "livekit-server is starting", code="livekit_down", hint=self.hint, retry_after_s=2
            )
        return self.url

    def require_whip(self) -> str:
        """As ``require``, of a server that takes WHIP too."""
        url = self.require()
        if not self.takes_whip:
            raise Unavailable(
                f"livekit-server {self.version} is too old for WHIP and relays",
                code="livekit_too_old",
                hint=OLD_HINT,
            )
        return url

    @property
    def takes_whip(self) -> bool:
        """Whether its version takes WHIP; an unknown version is believed to."""
        parts = parse_version(self.version or "")
        return parts is None or parts >= WHIP_VERSION

    def set_ready(self, url: str, version: str | None) -> None:
        """It answers."""
        self.url, self.version, self.state, self.problem = url, version, State.READY, ""

    def set_down(self, problem: str, hint: str, *, starting: bool = False) -> None:
        """It does not answer, and why."""
        self.state = State.STARTING if starting else State.DOWN
        self.problem, self.hint = problem, hint


def parse_version(text: str) -> tuple[int, ...] | None:
    """``(1, 13, 5)`` for ``1.13.5`` or ``v1.13.5-rc1``; None for anything else."""
    numbers = text.removeprefix("v").partition("-")[0].split(".")
    if len(numbers) != 3 or not all(n.isascii() and n.isdigit() for n in numbers):
        return None
    return tuple(map(int, numbers))
