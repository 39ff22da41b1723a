"""Pulls: what may be asked of them, and what of that their rows hold."""

from __future__ import annotations

import attrs

from streamhub.errors import FieldProblem, Invalid
from streamhub.model.ingress import InputType
from streamhub.model.relays import PullSource, RelayGrant
from streamhub.model.source_url import HTTP, RTSP, SourceUrl, parse_source_url
from streamhub.net.guard import HostUnknown, OutboundDenied, OutboundRules
from streamhub.services.apps import App
from streamhub.services.fields import Unset
from streamhub.services.ingress_values import IngressPatch, NewIngress, PullOptions, Transport
from streamhub.services.relay_sources import source_purpose
from streamhub.services.sealing import SecretBox
from streamhub.store.ingress import IngressRow

SCHEMES = {InputType.RTSP: RTSP, InputType.URL: RTSP + HTTP}
_ALONE = {
    "on_demand": "onDemand",
    "transport": "transport",
    "max_gop_seconds": "maxGopSeconds",
    "max_height": "maxHeight",
}


def refuse(problems: list[FieldProblem]) -> None:
    """Raise Invalid, if there are problems."""
    if problems:
        raise Invalid(
            "the body is not valid: " + "; ".join(f"{p.path}: {p.message}" for p in problems), fields=problems
        )


def pull_fields(asked: NewIngress | IngressPatch) -> list[str]:
    """Wire names of the fields sent that only a pull has, but its url."""
    return [
        wire
        for name, wire in _ALONE.items()
        if not isinstance(value := getattr(asked, name), Unset) and value is not None
    ]


def refused_here(new: NewIngress) -> list[FieldProblem]:
    """What of a request StreamHub itself could not do."""
    kind = new.input_type.value
    if not new.input_type.pulled:
        found = [FieldProblem(name, f"does not go with '{kind}', only with a pull") for name in pull_fields(new)]
        if new.url is not None:
            found.append(FieldProblem("url", f"does not go with '{kind}': the encoder comes to us"))
        return found
    found = []
    if new.stream_key is not None:
        found.append(FieldProblem("streamKey", "a pull has no stream key"))
    if new.url is None:
        found.append(FieldProblem("url", f"is required with '{kind}': what to pull"))
        return found
    try:
        url = parse_source_url(new.url, SCHEMES[new.input_type])
    except ValueError as exc:
        return [*found, FieldProblem("url", str(exc))]
    return found + _misplaced(url.scheme, new.transport)


def refused_change(row: IngressRow, patch: IngressPatch) -> list[FieldProblem]:
    """What of a change does not go with this ingress."""
    kind = InputType(row.input_type)
    if row.source is None:
        fields = pull_fields(patch) + ([] if isinstance(patch.url, Unset) else ["url"])
        found = [FieldProblem(name, f"does not go with '{kind.value}' here, only with what we pull") for name in fields]
        if row.livekit_id is not None and not isinstance(patch.participant_name, Unset):
            found.append(FieldProblem("participantName", "LiveKit does not change it; make the ingress anew"))
        return found
    scheme = (row.url or "").partition("://")[0]
    if not isinstance(patch.url, Unset):
        try:
            scheme = parse_source_url(patch.url, SCHEMES[kind]).scheme
        except ValueError as exc:
            return [FieldProblem("url", str(exc))]
    return _misplaced(scheme, None if isinstance(patch.transport, Unset) else patch.transport)


async def may_be_opened(rules: OutboundRules, url: SourceUrl, *, known: bool = False) -> None:
    """Return if the source's address may be opened. Raises Invalid that names the field, the address and the setting.

    A name that has no address now passes, unless it must be ``known``: a camera may be off.
    """
    try:
        await rules.pin(url.host)
    except OutboundDenied as exc:
        refuse([FieldProblem("url", exc.message)])
    except HostUnknown as exc:
        if known:
            refuse([FieldProblem("url", exc.message)])


def with_options(row: IngressRow, asked: NewIngress | IngressPatch) -> IngressRow:
    """The row with what was asked for; null is no limit."""
    demand, transport, gop, height = asked.on_demand, asked.transport, asked.max_gop_seconds, asked.max_height
    return attrs.evolve(
        row,
        on_demand=row.on_demand if isinstance(demand, Unset) else bool(demand),
        transport=transport.value if isinstance(transport, Transport) else row.transport,
        max_gop_s=row.max_gop_s if isinstance(gop, Unset) else float(gop or 0),
        max_height=row.max_height if isinstance(height, Unset) else height or 0,
    )


def with_source(row: IngressRow, url: SourceUrl, box: SecretBox) -> IngressRow:
    """The row with that source, sealed."""
    return attrs.evolve(row, url=url.shown, source=box.seal(url.full, source_purpose(row.id)))


def unstored(app: App, new: NewIngress, url: SourceUrl) -> PullSource:
    """The source of an ingress that is not made: for a probe."""
    grant = RelayGrant("test", new.input_type, app.room(new.room or ""), new.participant_identity or "test")
    return PullSource(
        grant=grant,
        url=url.full,
        transport=(new.transport or Transport.AUTO).value,
        max_gop_s=new.max_gop_seconds or 0.0,
        max_height=new.max_height or 0,
    )


def options_of(row: IngressRow) -> PullOptions | None:
    """How the row's source is pulled; None if we do not pull it."""
    if row.source is None:
        return None
    return PullOptions(Transport(row.transport), row.on_demand, row.max_gop_s, row.max_height)


def _misplaced(scheme: str, transport: Transport | None) -> list[FieldProblem]:
    if transport not in (None, Transport.AUTO) and scheme in HTTP:
        return [FieldProblem("transport", f"goes with rtsp:// and rtsps:// alone, not with {scheme}://")]
    return []
