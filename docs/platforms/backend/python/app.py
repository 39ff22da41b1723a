"""Hands a signed-in user of your app what LiveKit's SDKs join with: POST /join {"room"} -> {"token", "wsUrl"}."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

MINT = f"{os.environ['STREAMHUB_URL'].rstrip('/')}/api/v1/apps/{os.environ.get('STREAMHUB_APP', 'live')}/tokens"
HEADERS = {"Authorization": f"Bearer {os.environ['STREAMHUB_TOKEN']}", "Content-Type": "application/json"}
SESSIONS = json.loads(os.environ.get("APP_SESSIONS", "{}"))


def signed_in(authorization):
    """YOUR CHECK GOES HERE: the user of this session, and what they may do; None for a stranger."""
    return SESSIONS.get(authorization.removeprefix("Bearer "))


def join(authorization, body):
    """Status and answer. The identity and the grants are your server's to say, never the app's."""
    user = signed_in(authorization)
    if user is None:
        return 401, {"error": "sign in first"}
    try:
        room = json.loads(body)["room"]
    except (ValueError, KeyError, TypeError):
        return 400, {"error": 'send {"room": "…"}'}
    if room not in user["rooms"]:
        return 403, {"error": "this room is not open to you"}
    wants = {"room": room, "identity": user["id"], "canPublish": user["publish"], "canSubscribe": True, "ttl": "5m"}
    try:
        with urlopen(Request(MINT, json.dumps(wants).encode(), HEADERS), timeout=5) as answer:
            data = json.load(answer)["data"]
    except HTTPError as exc:
        with exc:
            print(f"StreamHub answered {exc.code}: {exc.read(500).decode(errors='replace')}", flush=True)
        return (503 if exc.code in (429, 503) else 502), {"error": "video is not available"}
    except (OSError, ValueError, KeyError) as exc:
        print(f"StreamHub could not be asked: {exc}", flush=True)
        return 503, {"error": "video is not available, try again"}
    return 200, {"token": data["token"], "wsUrl": data["wsUrl"]}


class Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if self.path != "/join":
            status, answer = 404, {"error": "POST /join"}
        elif not length.isdecimal() or int(length) > 1000:
            status, answer = 400, {"error": "send a short body with its length"}
        else:
            status, answer = join(self.headers.get("Authorization", ""), self.rfile.read(int(length)))
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(data)}.items():
            self.send_header(name, str(value))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
