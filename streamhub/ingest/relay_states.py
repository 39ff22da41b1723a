"""What relays are doing, in the words of the API; and what a source would give, seen for a moment."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing

import trio

from streamhub.ingest.relay_worker import OpenWorker
from streamhub.ingest.relays import Relays, Running
from streamhub.model.ingress import Activity, IngressState
from streamhub.model.relays import FailingRelay, Plan, Probe, ProbedTrack, RelayCounts, SourceUnusable
from streamhub.wire.relay_control import (
    AttachJpeg,
    Ended,
    Opened,
    Picture,
    SinkEnded,
    Start,
    Stats,
    Track,
)

# After the first picture the source is watched a little longer: its key frames tell how long viewers wait.
WATCH_S = 3.0


def activity_of(running: Running) -> Activity:
    """The relay as the rows show it."""
    opened, stats = running.known.opened, running.known.stats
    problem = next(iter(running.known.problems.values()), None)
    video = _video(opened)
    if opened is not None and running.started_at is not None:
        state = IngressState.PUBLISHING
    elif running.error is not None:
        state = IngressState.ERROR
    else:
        state = IngressState.BUFFERING if running.started_at is not None else IngressState.INACTIVE
    publishing = state is IngressState.PUBLISHING
    return Activity(
        state=state,
        started_at=running.started_at,
        last_came_at=running.started_at if publishing else running.last_came_at,
        error=(problem.error if problem else None) if publishing else running.error,
        bitrate=stats.bitrate if publishing and stats else None,
        width=video.width if publishing and video else None,
        height=video.height if publishing and video else None,
        fps=round(stats.fps, 2) if publishing and stats else None,
        codec=video.codec if publishing and video else None,
        keyframe_interval_s=stats.gop_s if publishing and stats else None,
        retry_at=None if publishing else running.retry_at,
        hints=_hints(running, stats),
    )


def counts_of(relays: Relays, encoders: int) -> RelayCounts:
    """All relays as health and metrics tell of them; ``encoders`` are connected by RTMP."""
    found = [(one, activity_of(one)) for one in relays.all]
    return RelayCounts(
        running=relays.count(),
        most=relays.most,
        by_state=Counter((str(one.grant.room.app), doing.state) for one, doing in found),
        failing=tuple(
            FailingRelay(one.grant.ingress_id, one.grant.room, doing.error or "it gives nothing", one.hint)
            for one, doing in found
            if doing.state is IngressState.ERROR
        ),
        restarts=dict(relays.restarts),
        encoders=encoders,
    )


async def probe_of(start: Start, open_worker: OpenWorker) -> Probe:
    """What the source has. Raises SourceUnusable."""
    opened: Opened | None = None
    stats: Stats | None = None
    jpeg: bytes | None = None
    async with open_worker(media=False) as worker:
        await worker.order(start)
        with trio.CancelScope() as looking:
            async with aclosing(worker.events()) as events:
                async for event in events:
                    match event:
                        case Opened():
                            opened = event
                            looking.deadline = trio.current_time() + WATCH_S
                            await worker.order(AttachJpeg(id="probe", fps=2.0))
                        case Picture():
                            jpeg = jpeg or event.jpeg
                        case Stats():
                            stats = event
                        case Ended():
                            if opened is None:
                                # Not the worker's code: its "unauthorized" is not that of a caller of ours.
                                hint = event.hint
                                if hint is None or hint.startswith("It is tried again"):  # a probe is not
                                    hint = SourceUnusable.hint
                                raise SourceUnusable(event.error or "the source ended at once", hint=hint)
                            break
                        case SinkEnded():
                            pass
    if opened is None:
        raise SourceUnusable("the source gave nothing")
    return Probe(
        tracks=tuple(_probed(t) for t in opened.tracks),
        gop_s=stats.gop_s if stats else None,
        bitrate=stats.bitrate if stats else None,
        plans=tuple(Plan(output=p.output, video=p.video, audio=p.audio, why=p.why) for p in opened.plans),
        hints=stats.hints if stats else (),
        jpeg=jpeg,
    )


def _probed(track: Track) -> ProbedTrack:
    return ProbedTrack(
        kind=track.kind,
        codec=track.codec,
        profile=track.profile,
        width=track.width,
        height=track.height,
        fps=track.fps,
        b_frames=track.b_frames,
        rate=track.rate,
        channels=track.channels,
    )


def _video(opened: Opened | None) -> Track | None:
    return next((t for t in opened.tracks if t.kind == "video"), None) if opened is not None else None


def _hints(running: Running, stats: Stats | None) -> tuple[str, ...]:
    said = tuple(p.hint for p in running.known.problems.values() if p.hint)
    if running.hint and running.error:
        said = (*said, running.hint)
    return (*said, *(stats.hints if stats else ()))
