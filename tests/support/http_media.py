"""A small HTTP server of media: files, MJPEG as cameras send it, refusals, and answers that never end.

As a program it serves one file in its own time: argv is a port (0: a free one), the path, the file and its seconds; or,
instead of those two, the life of the pictures (``marks.py``) of which ``/mjpeg`` then consists. Prints its port.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.clips import jpegs
from tests.support.marks import jpeg


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MediaServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Host", "")))
        path = urlsplit(self.path).path  # a proxy is asked for the whole address
        if path == "/mjpeg":
            self._mjpeg()
        elif path == "/private" and not self.headers.get("Authorization"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path == "/silent":
            self.server.closing.wait(60)
        elif path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path in self.server.files and path in self.server.seconds:
            self._live(self.server.files[path], self.server.seconds[path])
        elif path in self.server.files:
            self._file(self.server.files[path])
        else:
            self.send_error(404)

    def _file(self, data: bytes) -> None:
        first, last = 0, len(data) - 1
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            begin, _, end = asked[6:].partition("-")
            first, last = int(begin or 0), int(end or last)
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Connection", "close")  # as libav asks; it would try to use the connection again
        self.send_header("Content-Length", str(last - first + 1))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def _live(self, data: bytes, seconds: float) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        began, sent = time.monotonic(), 0
        while sent < len(data):
            due = round((time.monotonic() - began + 1) / seconds * len(data))
            self.wfile.write(data[sent:due])
            sent = due
            time.sleep(0.05)

    def _mjpeg(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cam")
        self.end_headers()
        while not self.server.closing.is_set():
            for picture in self.server.pictures or jpegs():
                self.wfile.write(b"--cam\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
                self.wfile.write(picture + b"\r\n")
                time.sleep(0.05)

    def log_message(self, *_: Any) -> None:
        pass


class MediaServer(ThreadingHTTPServer):
    """``files``: path → bytes, in ``seconds`` if they say so; ``asked``: path and Host of every request."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, files: dict[str, bytes], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.seconds, self.pictures = dict[str, float](), list[bytes]()
        self.files, self.asked = files, list[tuple[str, str]]()
        self.closing = threading.Event()
        self.base = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve_media_files(files: dict[str, bytes] | None = None) -> Iterator[MediaServer]:
    """Serves until the end of the block."""
    with MediaServer(files or {}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


def main() -> None:
    port, path, *what = sys.argv[1:]
    with MediaServer({}, int(port)) as server:
        if len(what) == 2:
            server.files[path], server.seconds[path] = Path(what[0]).read_bytes(), float(what[1])
        else:
            server.pictures = [jpeg(int(what[0]), n) for n in range(256)]
        print(server.server_address[1], flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
