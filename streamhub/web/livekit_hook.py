"""Where LiveKit reports what happens in its rooms.

On the public port below ``/api/v1``, for an external LiveKit; and alone on a loopback listener of its own, for the
managed one, which cannot know how the public port is reached (TLS, a Unix socket, a proxy).
"""

from __future__ import annotations

import json

from quart import Blueprint, Response, request
from quart_trio import QuartTrio

from streamhub.services.livekit_reconcile import LiveKitWatch
from streamhub.web import errors
from streamhub.web.routing import PREFIX

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


def create_hook_app(watch: LiveKitWatch) -> QuartTrio:
    """An application of the hook alone, at ``/webhooks/livekit``."""
    app = QuartTrio(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = errors.MOST_BODY_BYTES
    errors.register(app)
    app.register_blueprint(blueprint(watch, prefix=""))
    return app
