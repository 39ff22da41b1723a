"""What a stream key stands for, for every door that takes one."""

from __future__ import annotations

from streamhub.errors import Forbidden, Unauthorized
from streamhub.model.ingress import InputType
from streamhub.services.sealing import digest
from streamhub.store import apps as app_rows
from streamhub.store import ingress as rows
from streamhub.store.db import Database, Store
from streamhub.store.ingress import IngressRow


async def find_granted(store: Store, key: str, kind: InputType) -> tuple[IngressRow, str]:
    """The ingress of that kind and the name of its app.

    Raises Unauthorized (unknown key), Forbidden (switched off, or LiveKit's).
    """
    found = await store.read(_with_app, digest(key))
    if found is None or found[0].input_type != kind.value:
        raise unknown_key()
    row, app = found
    if row.livekit_id is not None:
        raise Forbidden(
            "this stream key belongs to LiveKit's own ingress service, not to this door",
            code="ingress_in_livekit",
            hint="Point the encoder at the 'url' that GET /api/v1/apps/<app>/ingress shows for it.",
        )
    if not row.enabled:
        raise Forbidden(
            "this ingress is switched off", code="ingress_disabled", hint='PATCH it with {"enabled": true}.'
        )
    return row, app


def unknown_key() -> Unauthorized:
    """The error for a key that stands for nothing."""
    return Unauthorized(
        "this stream key is not known here, or has been revoked",
        code="stream_key_invalid",
        hint="POST /api/v1/apps/<app>/ingress makes one; its key is shown once.",
    )


def _with_app(db: Database, key_hash: str) -> tuple[IngressRow, str] | None:
    row = rows.by_hash(db, key_hash)
    app = None if row is None else app_rows.by_id(db, row.app_id)
    return None if row is None or app is None else (row, app.name)
