"""Secrets: making them, digests of those shown to us, sealing of those we must present to others."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from streamhub.errors import StoreError

KEY_FILE = "secret.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


def new_api_token() -> str:
    """``sk_`` and 43 characters: 32 random bytes."""
    return "sk_" + secrets.token_urlsafe(32)


def new_camera_key() -> str:
    """``wsk_`` and 32 characters: 24 random bytes."""
    return "wsk_" + secrets.token_urlsafe(24)


def new_stream_key() -> str:
    """``stk_`` and 32 characters: 24 random bytes."""
    return "stk_" + secrets.token_urlsafe(24)


def digest(secret: str) -> str:
    """The stored form of a credential. One round of SHA-256 is enough for 192 random bits and more."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def prefix_of(secret: str) -> str:
    """The first eight characters, by which a person recognises a credential."""
    return secret[:8]


@attrs.frozen
class SecretBox:
    """Seals texts with the installation's key (AES-256-GCM). ``purpose`` is bound in: a sealed text cannot be moved."""

    _key: bytes = attrs.field(repr=False)

    def seal(self, text: str, purpose: str) -> bytes:
        """The sealed text; different each time."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, text.encode(), purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> str:
        """The text. Raises StoreError if it was sealed with another key or for another purpose."""
        try:
            plain = AESGCM(self._key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            raise StoreError(
                f"a stored secret cannot be opened with this {KEY_FILE}",
                code="secret_key_mismatch",
                hint=f"Restore the {KEY_FILE} that belongs to this database.",
            ) from None
        return plain.decode()


def open_secret_box(data_dir: Path) -> SecretBox:
    """The box of the data folder, made on first use. Blocking. Raises StoreError if the key file is damaged."""
    path = data_dir / KEY_FILE
    key = read_private(path)
    if key is None:
        write_private(path, os.urandom(_KEY_BYTES))
        key = read_private(path)
    if key is None or len(key) != _KEY_BYTES:
        raise StoreError(f"{KEY_FILE} is damaged", code="secret_key_damaged", hint="Restore it from a backup.")
    return SecretBox(key)


def read_private(path: Path) -> bytes | None:
    """The file's bytes, or None if there is none. Raises StoreError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StoreError(f"{path.name} cannot be read: {exc.strerror}", code="data_folder_unusable") from None


def write_private(path: Path, content: bytes) -> bool:
    """Make the file, readable by its owner alone, whole or not at all; False if it is there already.

    It is on the disk, synced, when this returns. Raises StoreError if it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # A hard link is the one step that both appears whole and fails if another process was first.
            os.link(draft, path)
        finally:
            draft.unlink()
    except FileExistsError:
        return False
    except OSError as exc:
        raise StoreError(f"{path.name} cannot be written: {exc.strerror}", code="data_folder_unusable") from None
    return True
