"""Refuses to make a wheel or an archive without the browser SDK's built files, which git does not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = ("livekit-client.js", "hls.js", "streamhub-adaptor.js", "streamhub-adaptor.global.js", "LICENSES.txt")


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs before the files are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises FileNotFoundError if a file is missing; an editable install goes without them."""
        folder = Path(self.root) / "streamhub" / "web" / "static" / "sdk"
        missing = [name for name in BUILT if not (folder / name).is_file()]
        if missing and version != "editable":
            raise FileNotFoundError(f"{folder} lacks {', '.join(missing)}: run scripts/sdk first")
