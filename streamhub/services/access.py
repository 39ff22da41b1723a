"""Who may come in: callers of the API, cameras, viewers. Each is one look-up by digest, then rules on the row found."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

import attrs

from streamhub.errors import NotFound, Unauthorized
from streamhub.livekit.tokens import LiveKitKeys, verify_join_token
from streamhub.model.access import CameraGrant, CameraHello, CameraLimits, Principal, Refusal, Scope, ViewGrant
from streamhub.model.clock import WallClock, utc_now
from streamhub.model.names import ROOM_NAME, AppName, RoomKey
from streamhub.services import tokens
from streamhub.services.app_cache import AppCache
from streamhub.services.apps import App, from_row, unknown_app
from streamhub.services.batching import Batched
from streamhub.services.last_used import LastUsed
from streamhub.services.sealing import digest
from streamhub.store import apps as app_rows
from streamhub.store import keys as key_rows
from streamhub.store import tokens as token_rows
from streamhub.store.apps import AppRow
from streamhub.store.db import Database, Store
from streamhub.store.keys import KeyRow
from streamhub.store.tokens import TokenRow

# A token's hash and an app's name, and what there is of them.
_Asked: TypeAlias = tuple[str, str | None]
_Caller: TypeAlias = tuple[TokenRow | None, AppRow | None]

# Grants remembered: one for each room, and play token of a private app.
MOST_VIEWS = 5_000


@attrs.frozen
class RoomView:
    """A room that could be watched, and whether anybody may."""

    key: RoomKey
    public: bool


@attrs.define(eq=False)
class Access:
    """Answers ``model.access``'s Protocols, and authenticates callers of the API.

    ``admitted`` tells by which digest each camera key came in last, so that a rotation by another process is noticed.
    """

    store: Store
    livekit: LiveKitKeys
    last_used: LastUsed
    apps: AppCache
    now: WallClock = utc_now
    admitted: dict[str, str] = attrs.field(factory=dict)
    _keys: Batched[str, KeyRow] = attrs.field(init=False)
    _callers: Batched[_Asked, _Caller] = attrs.field(init=False)
    _views: dict[tuple[str, str, str | None], tuple[App, ViewGrant]] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        async def read(hashes: list[str]) -> dict[str, KeyRow]:
            return await self.store.read(key_rows.by_hashes, hashes)

        async def read_callers(asked: list[_Asked]) -> dict[_Asked, _Caller]:
            return await self.store.read(_tokens_and_apps, asked)

        self._keys = Batched(read)
        self._callers = Batched(read_callers)

    async def authenticate(self, token: str, client_ip: str) -> Principal:
        """The caller with this API token. Raises Unauthorized: unknown, revoked, expired, from a wrong address."""
        principal, _ = await self.authenticate_for(token, client_ip, None)
        return principal

    async def authenticate_for(self, token: str, client_ip: str, app: str | None) -> tuple[Principal, App | None]:
        """As ``authenticate``, with the app of that name if there is one: one look at the database.

        Those who come while another's look is under way share the next one.
        """
        row, found = await self._callers.get((digest(token), app)) or (None, None)
        return self._principal(row, client_ip), None if found is None else from_row(found)

    def _principal(self, row: TokenRow | None, client_ip: str) -> Principal:
        at = self.now()
        if row is None or row.revoked_at is not None:
            raise Unauthorized("this API token is not known here, or has been revoked", code="token_invalid")
        if not tokens.is_live(row, at):
            raise Unauthorized("this API token has expired", code="token_expired", hint="Create a new token.")
        if row.allowed_ips and not _allowed(client_ip, row.allowed_ips):
            raise Unauthorized(
                f"this API token may not be used from {client_ip}",
                code="token_wrong_address",
                hint="Use it from one of its allowed addresses, or create one for this address.",
            )
        self.last_used.token(row.id, row.last_used_at, at)
        shown = tokens.from_row(row)
        return Principal(
            token_id=shown.id,
            name=shown.name,
            scope=shown.scope,
            rights=frozenset(shown.rights),
            app=AppName(shown.app) if shown.scope is Scope.APP and shown.app is not None else None,
        )

    async def authorise_camera(self, hello: CameraHello) -> CameraGrant | Refusal:
        """Checks 5 to 8 of the handshake table (contract, ws-ingest-protocol §1), in its order."""
        app = await self.apps.find(hello.app)
        if app is None:
            return Refusal(4401, "unknown_app")
        key = await self._keys.get(digest(hello.key))
        if key is None or key.app_id != app.id:
            return Refusal(4401, "invalid_key")
        rules = app.features.ws_ingest
        if not rules.enabled:
            return Refusal(4403, "ws_ingest_disabled")
        room = app.room(hello.room)
        if room.room != key.room:
            return Refusal(4401, "room_mismatch")
        self.admitted[key.id] = key.key_hash
        self.last_used.key(key.id, key.last_used_at, self.now())
        return CameraGrant(
            room=room,
            key_id=key.id,
            identity=hello.identity or key.identity,
            limits=CameraLimits(
                max_fps=rules.max_fps,
                max_frame_bytes=rules.max_frame_kb * 1024,
                idle_timeout_s=float(key.idle_timeout_s),
                max_cameras=rules.max_cameras,
            ),
            takeover=key.takeover,
        )

    async def authorise_viewer(self, app: str, room: str, token: str | None) -> ViewGrant:
        """The grant to watch. Raises NotFound (unknown app, impossible room name), Unauthorized (private playback)."""
        found = await self.apps.find(app)
        if found is None:
            raise unknown_app(app)
        return self._view(found, room, token)

    def viewer_at_once(self, app: str, room: str, token: str | None) -> ViewGrant | None:
        """The same where the app is in memory; else None."""
        found = self.apps.known(app)
        return None if found is None else self._view(found, room, token)

    def _view(self, found: App, room: str, token: str | None) -> ViewGrant:
        """Of the app as it is now. A grant is remembered with that: only its time can make another of it."""
        public = found.features.public_playback
        asked = found.name, room, None if public else token
        if (known := self._views.get(asked)) is not None and known[0] is found:
            expires_at = known[1].expires_at
            if expires_at is None or utc_now() < expires_at:
                return known[1]
        if not ROOM_NAME.fullmatch(room):
            raise NotFound(
                f"'{room[:130]}' cannot be a room",
                code="room_not_found",
                hint="A room is letters, digits, '.', '_', '-'.",
            )
        key = found.room(room)
        limits = found.features.viewer_limits
        if public:
            grant = ViewGrant(key, limits)
        elif token:
            grant = ViewGrant(key, limits, verify_join_token(token, self.livekit, key.room).expires_at, private=True)
        else:
            raise Unauthorized(
                "play token required", code="play_token_required", hint="Add ?token= with a join token of this room."
            )
        if len(self._views) >= MOST_VIEWS:
            self._views.clear()
        self._views[asked] = found, grant
        return grant

    async def find_room(self, app: str, room: str) -> RoomView | None:
        """The room of that short or full name, seen or not; None for an unknown app or impossible name."""
        found = await self.apps.find(app)
        if found is None or not ROOM_NAME.fullmatch(room):
            return None
        return RoomView(found.room(room), found.features.public_playback)


def _tokens_and_apps(db: Database, asked: list[_Asked]) -> dict[_Asked, _Caller]:
    return {
        (token_hash, app): (token_rows.by_hash(db, token_hash), None if app is None else app_rows.by_name(db, app))
        for token_hash, app in asked
    }


def _allowed(client_ip: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(client_ip)
    except ValueError:
        # A peer on a Unix socket has no address: a list of addresses does not include it.
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return any(address in _unmapped(ipaddress.ip_network(n)) for n in networks)


def _unmapped(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An IPv4-mapped IPv6 network as the IPv4 network it means."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
