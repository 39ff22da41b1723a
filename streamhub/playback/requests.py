"""What the doors of ``/live`` have in common: paths, the access check, viewer caps, ``?fps=``."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import unquote

import attrs
import trio

from streamhub.errors import FieldProblem, Invalid, MethodNotAllowed, NotFound, StreamHubError, TooMany, Unavailable
from streamhub.model.access import ViewerAuthority, ViewGrant
from streamhub.net.connection import DoorWire, Taken
from streamhub.observe.log import get_logger
from streamhub.rooms.hub import Hub
from streamhub.rooms.passed_on import PASS_ON_FROM, Carriers, PassedOn
from streamhub.rooms.room import Output, Room
from streamhub.rooms.silent import Silent
from streamhub.rooms.viewer import Side, Viewer
from streamhub.wire.http import format_error

ANSWER_DEADLINE_S = 10.0
MOST_FPS = 240.0
# Paths kept in pieces.
MOST_SPLIT = 1_000
LINGER_S = 1.0
LINGER_BYTES = 1024 * 1024

log = get_logger("playback")


@attrs.frozen(eq=False)
class Playback:
    """What every playback door needs."""

    hub: Hub
    authority: ViewerAuthority
    # Who sends for us to those who only look on, in a large room.
    carriers: Carriers | None = None

    async def grant(self, app: str, room: str, token: str | None) -> ViewGrant:
        """Ask whether this viewer may watch; raises what the authority raises, or Unavailable if it is too slow."""
        with deadline():
            return await self.authority.authorise_viewer(app, room, token)

    def grant_at_once(self, app: str, room: str, token: str | None) -> ViewGrant | None:
        """The same, if it needs no waiting; else None. Raises what the authority raises."""
        return self.authority.viewer_at_once(app, room, token)

    async def seat(
        self,
        taken: Taken,
        grant: ViewGrant,
        output: Output,
        make_side: Callable[[Room], Side],
        interval_s: float,
        farewell: Callable[[Viewer | PassedOn, DoorWire], Awaitable[None]] | None = None,
    ) -> None:
        """Hand the connection to the room as a viewer and return; raises TooMany or Unavailable.

        The room's task closes the connection, after ``farewell`` if the viewer ended between two pictures.
        """
        room = await self.hub.acquire(grant.room)
        seated = False
        try:
            self._check_caps(room, grant)
            wire = DoorWire(taken.stream)
            until = trio.current_time() + _seconds_left(grant, self.hub)
            viewer = self._viewer(wire, room, output, make_side(room), interval_s, until)

            async def watch() -> None:
                try:
                    await viewer.run()
                    if farewell is not None and not viewer.midway:
                        await farewell(viewer, wire)
                finally:
                    room.remove_viewer(viewer)
                    self.hub.release(room)
                    await wire.close()

            room.adopt(output, watch)
            # Counted before the next checkpoint: a crowd that comes at once meets the caps too.
            room.add_viewer(viewer, output)
            seated = taken.handed_over = True
        finally:
            if not seated:
                self.hub.release(room)

    def _viewer(
        self, wire: DoorWire, room: Room, output: Output, side: Side, interval_s: float, until: float
    ) -> Viewer | PassedOn:
        pump, carriers = room.pumps[output], self.carriers
        plain = isinstance(side, Silent) and wire.fd >= 0  # under TLS the keys are here
        if plain and carriers is not None and carriers.ready and len(room.viewers) >= PASS_ON_FROM:
            wire.shared = True
            return PassedOn(wire, side.pending(), pump, interval_s, carriers, until)
        return Viewer(wire, pump.latest, pump, side, interval_s, until)

    def _check_caps(self, room: Room, grant: ViewGrant) -> None:
        per_room, per_app = grant.limits.per_room, grant.limits.per_app
        if 0 < per_room <= len(room.viewers):
            raise _too_many(f"this room has its most viewers ({per_room})", "maxViewersPerRoom")
        if per_app and per_app <= self.hub.viewer_count(grant.room.app):
            raise _too_many(f"this app has its most viewers ({per_app})", "maxViewers")


def _seconds_left(grant: ViewGrant, hub: Hub) -> float:
    return math.inf if grant.expires_at is None else (grant.expires_at - hub.clock()).total_seconds()


def _too_many(message: str, feature: str) -> TooMany:
    return TooMany(message, code="too_many_viewers", hint=f"Try later, or raise the app's {feature}.", retry_after_s=10)


@lru_cache(MOST_SPLIT)
def split_path(target: bytes, name: str) -> tuple[str, str]:
    """App and room, percent-decoded, of ``/live/<app>/<room>/<name>``; raises NotFound for any other shape."""
    parts = target.partition(b"?")[0].decode("ascii").split("/")
    if len(parts) != 5 or parts[1] != "live" or parts[4] != name or not parts[2] or not parts[3]:
        raise NotFound("no such path", hint="Playback paths are /live/<app>/<room>/mjpeg, …/frame.jpg, …/poster.jpg.")
    return unquote(parts[2]), unquote(parts[3])


def interval_of(query: dict[str, str]) -> float:
    """Seconds between pictures asked for by ``?fps=`` (0: every picture). Raises Invalid."""
    text = query.get("fps", "")
    if not text:
        return 0.0
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 0.0 < fps <= MOST_FPS:
        raise Invalid(
            "bad query",
            fields=[FieldProblem("fps", f"expected a number above 0 and up to {MOST_FPS:g}, got {text[:20]!r}")],
        )
    return 1.0 / fps


def require_get(taken: Taken) -> None:
    """Raises MethodNotAllowed for anything but GET and HEAD."""
    if taken.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{taken.method} is not possible here", hint="Use GET or HEAD.")


async def answering(taken: Taken, act: Callable[[], Awaitable[None]]) -> None:
    """Run a door's work; an error of ours becomes its HTTP answer, and the connection goes on."""
    try:
        await act()
    except StreamHubError as exc:
        allow = [("Allow", "GET, HEAD")] if isinstance(exc, MethodNotAllowed) else []
        await answer(taken, format_error(exc, allow, head_only=taken.method == "HEAD", close=not taken.keeps_alive))


def connection(*, lasts: bool) -> list[tuple[str, str]]:
    """The header that says that the connection ends with this answer, if it does."""
    return [] if lasts else [("Connection", "close")]


@contextmanager
def deadline() -> Iterator[None]:
    """Raises Unavailable if the block takes too long: the database or the drawing thread cannot keep up."""
    with trio.CancelScope(deadline=trio.current_time() + ANSWER_DEADLINE_S) as scope:
        yield
    if scope.cancelled_caught:
        log.warning("no answer in time")
        raise Unavailable("the server is too busy to answer", code="too_busy", retry_after_s=5)


async def answer(taken: Taken, data: bytes) -> None:
    """Send a whole answer and give the connection back, if the client means to go on. Raises TooSlowError."""
    sent = DoorWire(taken.stream).send_some(data)  # nearly always all of it; nothing has to be waited for then
    if sent < len(data):
        with trio.fail_after(ANSWER_DEADLINE_S):
            await taken.stream.send_all(memoryview(data)[sent:])
    taken.answered = taken.keeps_alive
    if taken.has_body:
        await DoorWire(taken.stream).linger(LINGER_S, LINGER_BYTES)
