"""What a Quart-Trio application does without our doors: a WebSocket in, a generator out, and one bare JSON route.

``python -m tests.bench.quart_peer PORT``: the peer of scripts/bench for viewers and for the REST API.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import hypercorn.trio
import trio
from hypercorn.config import Config
from quart import Response, jsonify, request, websocket
from quart_trio import QuartTrio

app = QuartTrio(__name__)
pictures: dict[str, bytes] = {}
changed: dict[str, trio.Event] = {}


@app.websocket("/ingest/ws")
async def ingest() -> None:
    room = websocket.args["room"]
    while True:
        message = await websocket.receive()
        pictures[room] = message if isinstance(message, bytes) else message.encode()
        changed.pop(room, trio.Event()).set()


@app.get("/live/<name>/<room>/mjpeg")
async def mjpeg(name: str, room: str) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            await changed.setdefault(room, trio.Event()).wait()
            jpeg = pictures[room]
            yield b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg)

    answer = Response(parts(), content_type="multipart/x-mixed-replace; boundary=frame")
    answer.timeout = None
    return answer


@app.route("/bare", methods=["GET", "POST"])
async def bare() -> Any:
    if request.method == "POST":
        await request.get_json()
    return jsonify({"data": {"id": "live", "name": "live", "roomPrefix": "", "features": {"publicPlayback": True}}})


if __name__ == "__main__":
    config = Config()
    config.bind, config.accesslog, config.backlog = [f"127.0.0.1:{sys.argv[1]}"], None, 4096
    trio.run(hypercorn.trio.serve, app, config)
