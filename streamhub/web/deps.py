"""What the web application is built from."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from streamhub.model.clock import WallClock, utc_now
from streamhub.observe.metrics import Metrics
from streamhub.services.bundle import Services
from streamhub.services.live import LiveRooms
from streamhub.web.pages.deps import PagesDeps


@attrs.frozen(kw_only=True)
class Deps:
    """What the web layer needs. ``tls``: whether we end TLS ourselves (HSTS); ``pages`` None: the API alone."""

    services: Services
    hub: LiveRooms
    metrics: Metrics
    version: str
    cors_origins: tuple[str, ...] = ()
    metrics_token: str | None = attrs.field(default=None, repr=False)
    tls: bool = False
    pages: PagesDeps | None = None
    now: WallClock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_started", self.monotonic())

    @property
    def uptime_s(self) -> int:
        """Whole seconds since the application was built."""
        return int(self.monotonic() - self._started)
