"""Who is calling the API, and may they: one credential (Bearer), one rule per route."""

from __future__ import annotations

import hmac
from typing import cast

import attrs
from quart import request

from streamhub.errors import Unauthorized
from streamhub.model.access import Principal, Right
from streamhub.net.peers import Peer
from streamhub.services.access import Access
from streamhub.services.apps import App


@attrs.frozen
class Auth:
    """What a route asks of its caller.

    ``right`` None: any valid token. ``everywhere``: the scope must be global. ``own``: a token of one app is let in and
    the handler shows it only that app. Otherwise the route names an app, and the token must reach it.
    """

    public: bool = False
    right: Right | None = None
    everywhere: bool = False
    own: bool = False

    def authorise(self, principal: Principal, app: str | None) -> None:
        """Return if the caller may use the route, for that app if it names one. Raises Forbidden."""
        if self.right is not None:
            principal.require(self.right, None if self.everywhere else principal.app if self.own else app)


PUBLIC = Auth(public=True)
KNOWN = Auth()
SERVER_READ = Auth(right=Right.READ, everywhere=True)
SERVER_MANAGE = Auth(right=Right.MANAGE, everywhere=True)
OWN_READ = Auth(right=Right.READ, own=True)
APP_READ = Auth(right=Right.READ)
APP_PUBLISH = Auth(right=Right.PUBLISH)
APP_MANAGE = Auth(right=Right.MANAGE)


def peer() -> Peer:
    """The caller's address and the base of URLs for it, as the listener found them."""
    return cast("Peer", cast("dict[str, object]", request.scope)["streamhub.peer"])


def bearer() -> str | None:
    """The credential of the Authorization header; None if there is none of that scheme."""
    scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    token = rest.strip()
    return token if scheme.lower() == "bearer" and token else None


async def authenticate(access: Access) -> Principal:
    """The caller. Raises Unauthorized without a valid token, or from an address it may not be used from."""
    principal, _ = await authenticate_for(access, None)
    return principal


async def authenticate_for(access: Access, app: str | None) -> tuple[Principal, App | None]:
    """As ``authenticate``, with the app of that name if there is one."""
    token = bearer()
    if token is None:
        raise Unauthorized("this needs an API token", code="token_required")
    return await access.authenticate_for(token, peer().ip, app)


def is_metrics_token(expected: str | None) -> bool:
    """Whether the caller showed the metrics token of the settings, as Bearer or ``?token=``."""
    token = bearer() or request.args.get("token")
    return (
        expected is not None
        and token is not None
        and hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode())
    )
