"""What an embed's address may ask for: ``?controls=0|1&muted=0|1&fit=contain|cover|fill&label=…``."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

FITS = ("contain", "cover", "fill")
MAX_LABEL = 80
SWITCH = {"0": False, "false": False, "off": False, "no": False, "1": True, "true": True, "on": True, "yes": True}


@attrs.frozen
class EmbedOptions:
    """Checked options. ``muted`` is accepted and handed to the page; rooms without sound ignore it."""

    controls: bool = True
    muted: bool = True
    fit: str = "contain"
    label: str = ""


def parse_embed_options(query: Mapping[str, str]) -> EmbedOptions:
    """The options of a query. A wrong value gives the default: a typing mistake must not blank somebody's dashboard."""
    fit = query.get("fit", "contain").lower()
    label = "".join(c for c in query.get("label", "") if c.isprintable()).strip()
    return EmbedOptions(
        controls=_switch(query.get("controls"), default=True),
        muted=_switch(query.get("muted"), default=True),
        fit=fit if fit in FITS else "contain",
        label=label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 1] + "…",
    )


def _switch(text: str | None, *, default: bool) -> bool:
    return SWITCH.get((text or "").lower(), default)
