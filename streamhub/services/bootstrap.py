"""What a server does to its data folder before it serves: the first run, the admin token, LiveKit's keys, leftovers."""

from __future__ import annotations

import base64
import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import attrs
import trio

from streamhub.errors import StoreError
from streamhub.livekit.tokens import LiveKitKeys
from streamhub.model.access import Scope
from streamhub.model.clock import WallClock, utc_now
from streamhub.observe.log import get_logger
from streamhub.services.apps import NewApp, add_app
from streamhub.services.sealing import SecretBox, digest, new_api_token, open_secret_box, read_private, write_private
from streamhub.services.tokens import OWN_TOKEN, NewToken, add_token
from streamhub.store import apps as app_rows
from streamhub.store import meta
from streamhub.store import streams as stream_rows
from streamhub.store import tokens as token_rows
from streamhub.store.db import Database, Store

DATABASE = "streamhub.db"
LOCK_FILE = "server.lock"
ADMIN_TOKEN_FILE = "admin-token"  # noqa: S105 - a file name
FIRST_APP = NewApp(name="live", display_name="Live")
_SECRET_PURPOSE = "livekit_api_secret"  # noqa: S105 - what a sealed value is bound to
log = get_logger("bootstrap")


@attrs.frozen
class Prepared:
    """A data folder ready to serve. ``admin_token`` is set when this start made it: show it on a terminal only."""

    box: SecretBox
    livekit: LiveKitKeys
    admin_token: str | None = attrs.field(repr=False)


def make_data_dir(path: Path) -> None:
    """The data folder exists, closed to other users when we made it. Blocking. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise StoreError(f"the data folder {path} is not a folder", hint="Name another with --data-dir.") from None
    except OSError as exc:
        raise StoreError(
            f"the data folder {path} cannot be made: {exc.strerror}",
            code="data_folder_unusable",
            hint="Name another with --data-dir, or give yourself the right to write there.",
        ) from None


@contextmanager
def only_server(data_dir: Path) -> Iterator[Callable[[str], None]]:
    """This process is the only server of the data folder for the time of the block. Raises StoreError.

    Gives a function that tells commands beside the server the base of its URLs (``running_base``). The kernel frees the
    lock with the process, however it ends; commands do not need it.
    """
    with (data_dir / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(
                f"another server uses the data folder {data_dir}",
                code="data_folder_in_use",
                hint="Stop it first, or give this one a folder of its own with --data-dir.",
            ) from None

        def tell(base: str) -> None:
            file.truncate(0)
            file.write(base)
            file.flush()

        tell("")
        yield tell


def running_base(data_dir: Path) -> str | None:
    """The base of the URLs of the server that runs on this data folder; None if none does."""
    try:
        with (data_dir / LOCK_FILE).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read() or None
    except OSError:
        pass
    return None


async def prepare(
    store: Store,
    data_dir: Path,
    *,
    version: str,
    admin_token: str | None = None,
    livekit: LiveKitKeys | None = None,
    now: WallClock = utc_now,
) -> Prepared:
    """Everything before serving; doing it again changes nothing.

    Streams that a crash left active are ended. A fixed ``admin_token`` is made valid, and replaces the one fixed
    before. Raises StoreError if the data folder cannot be used.
    """
    box = await trio.to_thread.run_sync(open_secret_box, data_dir)
    await store.write(first_run, now())
    await store.write(_fixed_admin_token, admin_token, now())
    fresh = None if admin_token is not None else await _own_admin_token(store, data_dir, now)
    if livekit is None:
        livekit = await store.write(own_livekit_keys, box)
    ended = await store.write(partial(_close_books, version=version), now())
    if ended:
        log.info("ended streams left over from the last run", streams=ended)
    return Prepared(box, livekit, fresh)


def first_run(db: Database, at: datetime) -> None:
    """The first app is there, unless somebody has removed it since."""
    if meta.get(db, "first_run_at") is None:
        if app_rows.by_name(db, FIRST_APP.name) is None:
            add_app(db, FIRST_APP, at)
        meta.put(db, "first_run_at", at.isoformat())


async def _own_admin_token(store: Store, data_dir: Path, now: WallClock) -> str | None:
    """Make the admin token once: first its file, then its row, so that a crash between the two loses nothing."""
    if await store.read(meta.get, "admin_token_made_at") is not None:
        if not await store.read(token_rows.count_live_admins, now()):
            log.warning("no valid admin token is left", hint="streamhub tokens create --name admin")
        return None
    secret = await trio.to_thread.run_sync(_read_or_make_token, data_dir / ADMIN_TOKEN_FILE)
    return secret if await store.write(_add_admin_token, secret, now()) else None


def _read_or_make_token(path: Path) -> str:
    for _ in range(2):
        content = read_private(path)
        if content is not None:
            break
        write_private(path, f"{new_api_token()}\n".encode())
    else:
        raise StoreError(f"{path.name} cannot be read back", code="data_folder_unusable")
    secret = content.decode("utf-8", "replace").strip()
    if not OWN_TOKEN.fullmatch(secret):
        raise StoreError(
            f"{path.name} in the data folder does not hold an API token", hint="Remove the file, then start again."
        )
    return secret


def _add_admin_token(db: Database, secret: str, at: datetime) -> bool:
    if meta.get(db, "admin_token_made_at") is not None:
        return False
    if token_rows.by_hash(db, digest(secret)) is None:
        add_token(db, NewToken(name="admin", scope=Scope.GLOBAL), secret, at)
    meta.put(db, "admin_token_made_at", at.isoformat())
    return True


def _fixed_admin_token(db: Database, secret: str | None, at: datetime) -> None:
    """The token fixed by the settings is valid and is the only one fixed; None: the one fixed before ends."""
    before = meta.get(db, "fixed_admin_token_id")
    row = None
    if secret is not None:
        row = token_rows.by_hash(db, digest(secret)) or add_token(
            db, NewToken(name="admin", scope=Scope.GLOBAL), secret, at
        )
        token_rows.make_admin(db, row.id)
    if before is not None and (row is None or int(before) != row.id):
        token_rows.revoke(db, int(before), at)
    meta.put(db, "fixed_admin_token_id", None if row is None else str(row.id))


def own_livekit_keys(db: Database, box: SecretBox) -> LiveKitKeys:
    """The keys of the LiveKit of this data folder, made once; the secret is stored sealed."""
    key, sealed = meta.get(db, "livekit_api_key"), meta.get(db, _SECRET_PURPOSE)
    if key is not None and sealed is not None:
        try:
            return LiveKitKeys(key, box.open(base64.b64decode(sealed), _SECRET_PURPOSE))
        except StoreError as exc:
            # Join tokens made before end; everything else goes on.
            log.warning("making new LiveKit keys", reason=exc.message, hint=exc.hint)
    keys = LiveKitKeys(f"API{secrets.token_hex(6)}", secrets.token_urlsafe(32))
    meta.put(db, "livekit_api_key", keys.api_key)
    meta.put(db, _SECRET_PURPOSE, base64.b64encode(box.seal(keys.api_secret, _SECRET_PURPOSE)).decode())
    return keys


def _close_books(db: Database, at: datetime, *, version: str) -> int:
    meta.put(db, "program_version", version)
    return stream_rows.end_all_active(db, at, "server_restart")
