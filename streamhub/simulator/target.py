"""Where a camera sends: the address from the command line, taken apart."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs

from streamhub.errors import BadRequest
from streamhub.model.names import CAMERA_SLUG

DEFAULT_PORT = 3020
INGEST_PATH = "/ingest/ws"
SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class BadTarget(BadRequest):
    """The address, app or room given to a camera cannot be used."""

    code = "bad_target"
    hint = "Give the wsUrl printed with the key, or HOST[:PORT] with --app and --room."


@attrs.frozen
class Target:
    """One room of one server. ``host`` has no brackets, also for IPv6."""

    host: str
    port: int
    app: str
    room: str
    identity: str | None = None
    tls: bool = False
    path: str = INGEST_PATH

    @property
    def resource(self) -> str:
        """Path and query of the handshake; never the key, which goes in a header."""
        query = {"app": self.app, "room": self.room}
        if self.identity:
            query["identity"] = self.identity
        return f"{self.path}?{urlencode(query)}"

    @property
    def host_header(self) -> str:
        """``host[:port]`` as RFC 9112 §3.2 wants it: brackets for IPv6, no port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://{self.host_header}{self.resource}"


def parse_target(
    text: str, *, app: str | None = None, room: str | None = None, identity: str | None = None
) -> tuple[Target, str | None]:
    """The target of a ``wsUrl`` or ``HOST[:PORT]``, and the key if the URL carried one. Raises BadTarget.

    ``app``, ``room`` and ``identity`` win over the URL's; the app is ``live`` when nobody names one.
    """
    url = text if "://" in text else f"ws://{_bracketed(text)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise BadTarget(f"the address cannot be read: {exc}") from None
    if parts.scheme not in SCHEMES:
        raise BadTarget(f"the address has the scheme '{parts.scheme}', expected ws:// or wss://")
    if not parts.hostname or parts.username is not None:
        raise BadTarget("the address has no host" if not parts.hostname else "the address must not carry a user name")
    tls = SCHEMES[parts.scheme] == "wss"
    if port is None:
        port = (443 if tls else 80) if "://" in text else DEFAULT_PORT
    query = dict(parse_qsl(parts.query))
    target = Target(
        host=parts.hostname,
        port=port,
        app=app or query.get("app") or "live",
        room=room or query.get("room") or "",
        identity=identity or query.get("identity"),
        tls=tls,
        path=parts.path if parts.path not in ("", "/") else INGEST_PATH,
    )
    if not target.room:
        raise BadTarget("no room is named", hint="Add --room NAME, or use the wsUrl printed with the key.")
    for what, value in (("app", target.app), ("room", target.room), ("identity", target.identity)):
        if value is not None and not CAMERA_SLUG.fullmatch(value):
            raise BadTarget(f"the {what} {value!r} is not a name: letters, digits, '_' and '-', 64 at most")
    return target, query.get("key")


def _bracketed(text: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(text)}]"
    except ValueError:
        return text
