"""The static files: read once at start, served from memory, nothing else reachable."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import attrs
import trio

from streamhub.observe.log import get_logger

log = get_logger("pages")

STATIC_DIR = Path(__file__).resolve().parent.parent / "static"
CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}
_TEXT = {".js", ".css", ".svg", ".txt"}
_LEAST_PACKED_BYTES = 1000
SDK = "sdk"
"""The folder of what scripts/sdk builds."""
BUILD_COMMAND = "scripts/sdk"
FOREVER = "public, max-age=31536000, immutable"
FIVE_MINUTES = "public, max-age=300"
ASK_EACH_TIME = "public, no-cache"


@attrs.define
class Asset:
    """One static file. ``etag`` is quoted, as the header has it; ``packs``: it is worth compressing."""

    body: bytes
    content_type: str
    etag: str
    packs: bool = False
    _packed: bytes | None = attrs.field(default=None, repr=False, eq=False)

    async def packed(self) -> tuple[bytes, str]:
        """The body gzipped, once, and its tag: another representation has another one (RFC 9110 §8.8.3)."""
        if self._packed is None:
            self._packed = await trio.to_thread.run_sync(lambda: gzip.compress(self.body, mtime=0))
        return self._packed, f'{self.etag[:-1]}-gzip"'


@attrs.frozen
class Assets:
    """All static files by their path in the folder: ``play.js``, ``sdk/livekit-client.js``.

    ``version`` changes when any of them does. It is the first path segment of their addresses, so that scripts which
    import each other by relative names are always of one version.
    """

    files: dict[str, Asset]
    version: str

    def find(self, path: str) -> tuple[Asset, str] | None:
        """The file and its ``Cache-Control`` for ``<name>`` or ``<version>/<name>``; None for anything else.

        An outdated version gets today's file, not for keeping: a page loaded across an upgrade still works.
        """
        version, _, name = path.partition("/")
        if path in self.files:
            return self.files[path], ASK_EACH_TIME
        if name not in self.files:
            return None
        return self.files[name], FOREVER if version == self.version else ASK_EACH_TIME


def load_assets(folder: Path = STATIC_DIR) -> Assets:
    """Reads every file of a known type below ``folder``. Blocking: call it before serving.

    What a checkout lacks until it is built is said in the log, with the command; the pages do without it.
    """
    files = {}
    everything = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in CONTENT_TYPES and path.is_file():
            body = path.read_bytes()
            digest = hashlib.sha256(body).hexdigest()
            name = path.relative_to(folder).as_posix()
            everything.update(f"{name} {digest}\n".encode())
            packs = path.suffix in _TEXT and len(body) >= _LEAST_PACKED_BYTES
            files[name] = Asset(body, CONTENT_TYPES[path.suffix], f'"{digest[:20]}"', packs)
    if not any(name.startswith(f"{SDK}/") for name in files):
        log.warning(
            "pages do without WebRTC", missing=str(folder / SDK), hint=f"{BUILD_COMMAND} builds it, then start again"
        )
    return Assets(files, everything.hexdigest()[:12])
