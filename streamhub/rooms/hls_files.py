"""The disk under HLS: folders of segments, opened when they come, so that serving them asks the file system nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

import attrs
import trio

T = TypeVar("T")
CLEAN_DEADLINE_S = 5.0


class Runner(Protocol):
    """Runs a blocking call elsewhere and returns what it returned."""

    async def __call__(self, call: Callable[[], T], /) -> T: ...


async def in_thread(call: Callable[[], T]) -> T:
    """The runner of the server."""
    return await trio.to_thread.run_sync(call)


@attrs.define(eq=False)
class SegmentFile:
    """An open file of known size. It can be sent to its end also after it was deleted."""

    path: Path
    size: int
    _fd: int

    @property
    def fd(self) -> int:
        """Its descriptor, good until the next await."""
        return self._fd

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor of its own for the time of the block; read it by offset only."""
        fd = os.dup(self._fd)
        try:
            yield fd
        finally:
            os.close(fd)

    def delete(self) -> None:
        """Close and remove it."""
        os.close(self._fd)
        self.path.unlink(missing_ok=True)


@attrs.define
class HlsFiles:
    """Makes, opens and removes files below ``root``; ``run`` keeps that out of the loop.

    ``breaks``: the highest Discontinuity Sequence Number that a list of these files has had.
    """

    root: Path
    run: Runner = in_thread
    breaks: int = 0

    async def prepare(self, name: str, keep: Set[str] = frozenset()) -> Path:
        """The folder of that name below the root, with no other files in it than ``keep``. Raises OSError."""
        folder = self.root / name

        def prepare() -> Path:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in folder.iterdir():
                if path.name not in keep:
                    path.unlink(missing_ok=True)
            return folder

        return await self.run(prepare)

    async def open(self, path: Path) -> SegmentFile:
        """Raises OSError; a link or a device is none of ours."""

        def open_file() -> SegmentFile:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                os.close(fd)
                raise OSError(f"{path.name} is no plain file")
            return SegmentFile(path, about.st_size, fd)

        return await self.run(open_file)

    async def delete(self, files: Iterable[SegmentFile], folder: Path | None = None) -> None:
        """Remove the files, and a whole folder with what nobody told of; finished even if the caller is cancelled."""
        doomed = list(files)

        def remove() -> None:
            for file in doomed:
                file.delete()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

        with trio.move_on_after(CLEAN_DEADLINE_S, shield=True):
            await self.run(remove)

    async def clean(self) -> None:
        """Remove what an earlier process has left."""
        await self.delete((), self.root)
