"""``serve --demo``: a simulated camera in a room of its own, connecting over the wire like any other."""

from __future__ import annotations

from collections.abc import Sequence

from streamhub.errors import StreamHubError
from streamhub.model.names import RoomKey
from streamhub.net.listeners import Address
from streamhub.observe.log import get_logger
from streamhub.services.bundle import Services
from streamhub.services.fields import Paging
from streamhub.services.keys import NewKey
from streamhub.simulator.camera import CameraOptions, Progress, run_camera
from streamhub.simulator.picture import test_picture
from streamhub.simulator.target import Target

DEMO_IDENTITY = "demo-camera"
SIZE = (640, 480)
FPS = 10.0

log = get_logger("demo")


async def run_demo(services: Services, addresses: Sequence[Address], tls: bool, room: RoomKey) -> None:
    """Keep the demo camera running until cancelled. If it cannot run, a log line says why and the server goes on."""
    tcp = next((a for a in addresses if not a.path), None)
    if tcp is None:
        log.warning("no demo camera: it needs a TCP address", hint="add 127.0.0.1:3020 to STREAMHUB_HTTP_BIND")
        return
    try:
        key = await _fresh_key(services, room)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(tcp.host, tcp.host)  # noqa: S104
        target = Target(tls=tls, host=host, port=tcp.port, app=room.app, room=room.room, identity=DEMO_IDENTITY)
        # Our own certificate is for the name others use, not for the loopback address.
        options = CameraOptions(target=target, key=key, fps=FPS, insecure=tls, keep_trying=True)
        await run_camera(options, test_picture(SIZE, "StreamHub demo"), report=_report)
    except StreamHubError as exc:
        log.warning("no demo camera", error=exc.message, hint=exc.hint)


async def _fresh_key(services: Services, room: RoomKey) -> str:
    """A new key for the demo's room; those of earlier runs are revoked, for their secrets are gone."""
    app = await services.apps.get(room.app)
    page = await services.keys.page(app, Paging(limit=500))
    for key in page.items:
        if key.room == room.room and key.identity == DEMO_IDENTITY:
            await services.keys.revoke(app, key.id)
    issued = await services.keys.create(app, NewKey(room=room.room, identity=DEMO_IDENTITY, takeover=True))
    return issued.secret


def _report(_progress: Progress) -> None:
    """The demo camera needs no progress line: it is on the page."""
