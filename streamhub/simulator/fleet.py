"""Many cameras at once, and the list of keys they use."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import trio

from streamhub.errors import BadRequest, StreamHubError
from streamhub.simulator.camera import CameraOptions, run_camera
from streamhub.simulator.console import Console
from streamhub.simulator.sources import FrameSource

# Devices that start together do not connect in the same millisecond.
START_SPREAD_S = 0.002

_COLUMNS = {
    "app": "app",
    "room": "room",
    "key": "key",
    "streamkey": "key",
    "wsurl": "url",
    "url": "url",
    "identity": "identity",
}


class BadKeyList(BadRequest):
    """The file given with --keys cannot be used."""

    code = "bad_key_list"
    hint = "Make it with 'streamhub keys create --from names.txt --csv': a head line, columns room and key at least."


@attrs.frozen
class KeyRow:
    """One line of the list. ``app`` and ``url`` are empty when the list has no such column."""

    room: str
    key: str = attrs.field(repr=False)
    app: str = ""
    url: str = ""
    identity: str = ""


def read_keys(path: Path) -> list[KeyRow]:
    """The rows of a CSV with a head line; unknown columns are ignored. Raises BadKeyList, which never shows a key."""
    try:
        lines = list(csv.reader(path.read_text("utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError) as exc:
        raise BadKeyList(f"cannot read {path}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}") from None
    except csv.Error as exc:
        raise BadKeyList(f"{path} is not CSV: {exc}") from None
    if not lines:
        raise BadKeyList(f"{path} is empty")
    names = [_COLUMNS.get(name.strip().lower().replace("_", "").replace("-", "").replace(" ", "")) for name in lines[0]]
    for needed in ("room", "key"):
        if needed not in names:
            raise BadKeyList(f"{path} has no column '{needed}' in its head line")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        values = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name is not None}
        if not values.get("room") or not values.get("key"):
            raise BadKeyList(f"line {number} of {path} lacks a room or a key")
        rows.append(KeyRow(**values))
    if not rows:
        raise BadKeyList(f"{path} lists no key")
    return rows


async def run_fleet(
    cameras: Sequence[tuple[str, CameraOptions, FrameSource]],
    console: Console,
    failed: Callable[[str, StreamHubError], None],
) -> None:
    """Run all until each has ended or failed, or until cancelled. A failure is told by name and stops no other."""

    async def run_one(number: int, name: str, options: CameraOptions, source: FrameSource) -> None:
        await trio.sleep(number * START_SPREAD_S)
        try:
            await run_camera(options, source, report=console.reporter(name))
        except StreamHubError as exc:
            failed(name, exc)

    async with trio.open_nursery() as shown:
        shown.start_soon(console.run)
        async with trio.open_nursery() as running:
            for number, (name, options, source) in enumerate(cameras):
                running.start_soon(run_one, number, name, options, source)
        shown.cancel_scope.cancel()
