// Does media arrive? Told by the bytes of each track, because a video element also shows an old picture.

export function createMediaWatch(clock = () => performance.now()) {
  const known = new Map(); // track → {bytes, at: when it last grew}
  let heardAt = clock();

  async function bytesOf(track) {
    const report = await track.getRTCStatsReport();
    let bytes = 0;
    if (report) {
      for (const entry of report.values()) {
        // Video that cannot be decoded is none.
        if (entry.type === 'inbound-rtp' && entry.framesDecoded !== 0) bytes += entry.bytesReceived || 0;
      }
    }
    return bytes;
  }

  return {
    // From now on media is awaited.
    restart() {
      heardAt = clock();
    },
    // Looks at the publications that should deliver; those without a track yet deliver nothing. With none there is
    // nothing to wait for, unless somebody is `awaited`.
    async look(publications, awaited = false) {
      const tracks = publications.map((publication) => publication.track).filter(Boolean);
      const counts = await Promise.all(tracks.map((track) => bytesOf(track).catch(() => 0)));
      const now = clock();
      for (const track of [...known.keys()]) if (!tracks.includes(track)) known.delete(track);
      tracks.forEach((track, n) => {
        const before = known.get(track);
        if (counts[n] > (before ? before.bytes : 0)) {
          known.set(track, { bytes: counts[n], at: now });
          heardAt = now;
        }
      });
      if (!publications.length && !awaited) heardAt = now;
    },
    // How long nothing has come, in ms: of one track, or of all.
    silence(track = null) {
      if (track === null) return clock() - heardAt;
      const entry = known.get(track);
      return entry ? clock() - entry.at : Infinity;
    },
    // Has anything come from this track?
    heard: (track) => known.has(track),
  };
}
