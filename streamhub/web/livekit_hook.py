"""Where LiveKit reports what happens in its rooms.

On the public port below ``/api/v1``, for an external LiveKit; and alone on a loopback listener of its own, for the
managed one, which cannot know how the public port is reached (TLS, a Unix socket, a proxy).
"""

from __future__ import annotations

import json

from quart import Blueprint, Response, request
from quart_trio import QuartTrio

from streamhub.ingest.relay_whip import PATH as RELAY_PATH
from streamhub.ingest.relay_whip import RelayWhip
from streamhub.services.livekit_reconcile import LiveKitWatch
from streamhub.web import errors
from streamhub.web.auth import bearer
from streamhub.web.routing import PREFIX
from streamhub.wire.sdp import SDP_TYPE

HOOK_PATH = "/webhooks/livekit"


def blueprint(watch: LiveKitWatch, prefix: str = PREFIX) -> Blueprint:
    """The hook. It checks LiveKit's signature over the raw body, answers at once, and looks into the room later."""
    hook = Blueprint("livekit_hook", __name__)

    @hook.post(prefix + HOOK_PATH)
    async def receive() -> Response:
        body = await request.get_data(cache=False)
        assert isinstance(body, bytes)
        watch.receive(body, request.headers.get("Authorization"))
        return Response(json.dumps({"data": {"received": True}}), content_type="application/json")

    return hook


def relay_blueprint(door: RelayWhip) -> Blueprint:
    """WHIP for our own relay workers; the path of a session is the worker's bearer."""
    relay = Blueprint("relay_whip", __name__)

    @relay.post(RELAY_PATH)
    async def publish() -> Response:
        body = await request.get_data(cache=False)
        assert isinstance(body, bytes)
        location, answer = await door.publish(bearer() or "", body.decode("utf-8", "replace"))
        return Response(answer, status=201, content_type=SDP_TYPE, headers={"Location": location, "ETag": '"1"'})

    @relay.delete(f"{RELAY_PATH}/<session>")
    async def end(session: str) -> Response:
        await door.end(session)
        return Response(b"", status=200)

    return relay


def create_hook_app(watch: LiveKitWatch, relays: RelayWhip | None = None) -> QuartTrio:
    """An application of the hook, at ``/webhooks/livekit``, and of the door of our relay workers alone."""
    app = QuartTrio(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = errors.MOST_BODY_BYTES
    errors.register(app)
    app.register_blueprint(blueprint(watch, prefix=""))
    if relays is not None:
        app.register_blueprint(relay_blueprint(relays))
    return app
