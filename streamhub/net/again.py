"""What a kept-alive connection has asked before, so that it can ask the like again for little.

Whoever polls a picture or a playlist sends the same bytes each time; who reads segments, or puts a time behind a
picture's path, the same bytes after the first line. h11 looks at such bytes once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote

import attrs
import h11

from streamhub.net.connection import Taken
from streamhub.net.kept import QuickDoor, Sending
from streamhub.net.requests import Door, Route, door_of, in_origin_form, is_upgrade

# Heads kept of a connection, and the longest of them.
MOST_REMEMBERED = 4
MOST_REMEMBERED_BYTES = 2048
_END_OF_HEAD = b"\r\n\r\n"
# RFC 9112 §3: a request line that h11 takes, whatever the target's visible characters, and that is not read twice.
_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")


@attrs.frozen(eq=False)
class Known:
    """A request that a door takes; ``quick`` is that door if it may answer at once."""

    taken: Taken
    door: Door
    quick: QuickDoor | None = None


@attrs.define(eq=False)
class Again:
    """Parses what follows on a connection that a door has answered on: Hypercorn's handler costs ten times as much.

    Only a whole head for a door is taken; anything else (in pieces, long, wrong, for the web application) goes to
    Hypercorn as it came. ``take`` makes what a door is called with.
    """

    route: Route
    take: Callable[[h11.Request], Taken]
    _known: dict[bytes, Known | None] = attrs.field(factory=dict)
    # What followed the first line of the last plain GET, and that request.
    _tail: bytes = b""
    _like: Taken | None = None

    def parse(self, data: bytes) -> Known | None:
        """The request if a door takes it."""
        if data in self._known:
            return self._known[data]
        if len(data) > MOST_REMEMBERED_BYTES:
            return None
        line, _, tail = data.partition(b"\r\n")
        if tail == self._tail and self._like is not None and (match := _LINE.fullmatch(line)) is not None:
            return self._parse_line(match[1], self._like)
        if not data.endswith(_END_OF_HEAD) or data.count(_END_OF_HEAD) != 1:
            return None
        known = self._parse_all(data, tail)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[data] = known
        return known

    def answer(self, data: bytes) -> Sending | None:
        """The answer to the request, if its door has it without waiting."""
        known = self.parse(data)
        return None if known is None or known.quick is None else known.quick.at_once(known.taken)

    def _parse_line(self, target: bytes, like: Taken) -> Known | None:
        """A request that differs from ``like`` in its target alone."""
        path, _, query = target.partition(b"?")
        raw = path.decode("ascii")
        door = self.route("GET", raw, False)
        if door is None:
            return None
        taken = like.asking_for(target, unquote(raw) if "%" in raw else raw, parse_query(query))
        return Known(taken, door, door if isinstance(door, QuickDoor) else None)

    def _parse_all(self, data: bytes, tail: bytes) -> Known | None:
        parser = h11.Connection(h11.SERVER)
        parser.receive_data(data)
        try:
            request = parser.next_event()
        except h11.RemoteProtocolError:
            return None
        if not isinstance(request, h11.Request):
            return None
        plain = _LINE.match(data) is not None
        request = in_origin_form(request)
        door = door_of(self.route, request)
        if door is None:
            return None
        taken = self.take(request)
        if plain and taken.keeps_alive and not is_upgrade(request):
            self._tail, self._like = tail, taken
        return Known(taken, door, door if isinstance(door, QuickDoor) and taken.keeps_alive else None)


def parse_query(query: bytes) -> dict[str, str]:
    """The parameters; of one that comes twice the first counts."""
    params: dict[str, str] = {}
    if query:
        for key, value in parse_qsl(query.decode("ascii", "replace"), keep_blank_values=True):
            params.setdefault(key, value)
    return params
