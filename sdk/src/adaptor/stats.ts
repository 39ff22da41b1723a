import type { Room } from 'livekit-client'

/** AntMedia's `updated_stats`, as far as the browser's reports tell it. Seconds, kbit/s, counts since the start. */
export interface AdaptorStats {
  streamId: string
  videoRoundTripTime: number
  audioRoundTripTime: number
  videoJitter: number
  audioJitter: number
  currentOutgoingBitrate: number
  videoPacketsLost: number
  audioPacketsLost: number
  totalVideoPacketsSent: number
  totalAudioPacketsSent: number
  totalBytesSent: number
  totalPacketsSent: number
}

type Kind = 'video' | 'audio'

/** Sums up the reports of everything that is sent. */
export function sumUp(streamId: string, entries: Iterable<Record<string, unknown>>): AdaptorStats {
  const sums: AdaptorStats = {
    streamId,
    videoRoundTripTime: 0,
    audioRoundTripTime: 0,
    videoJitter: 0,
    audioJitter: 0,
    currentOutgoingBitrate: 0,
    videoPacketsLost: 0,
    audioPacketsLost: 0,
    totalVideoPacketsSent: 0,
    totalAudioPacketsSent: 0,
    totalBytesSent: 0,
    totalPacketsSent: 0,
  }
  for (const entry of entries) {
    const kind = entry.kind as Kind
    if (kind !== 'video' && kind !== 'audio') continue
    if (entry.type === 'outbound-rtp') {
      const packets = number(entry.packetsSent)
      sums[kind === 'video' ? 'totalVideoPacketsSent' : 'totalAudioPacketsSent'] += packets
      sums.totalPacketsSent += packets
      sums.totalBytesSent += number(entry.bytesSent)
    } else if (entry.type === 'remote-inbound-rtp') {
      sums[`${kind}RoundTripTime`] = Math.max(sums[`${kind}RoundTripTime`], number(entry.roundTripTime))
      sums[`${kind}Jitter`] = Math.max(sums[`${kind}Jitter`], number(entry.jitter))
      sums[`${kind}PacketsLost`] += number(entry.packetsLost)
    }
  }
  return sums
}

const number = (value: unknown): number => (typeof value === 'number' ? value : 0)

/** Calls `tell` every two seconds; returns what ends that. `room()` is the present connection's. */
export function watchStats(streamId: string, room: () => Room | null, tell: (stats: AdaptorStats) => void): () => void {
  let before: { at: number; bytes: number } | null = null
  const look = async (): Promise<void> => {
    const publications = [...(room()?.localParticipant.trackPublications.values() ?? [])]
    const reports = await Promise.all(publications.map(({ track }) => track?.getRTCStatsReport().catch(() => undefined)))
    const stats = sumUp(streamId, reports.flatMap(report => (report ? [...report.values()] : [])))
    const at = performance.now()
    // A new connection counts from nothing.
    if (before && stats.totalBytesSent >= before.bytes) {
      stats.currentOutgoingBitrate = Math.round(((stats.totalBytesSent - before.bytes) * 8) / (at - before.at))
    }
    before = { at, bytes: stats.totalBytesSent }
    tell(stats)
  }
  const timer = setInterval(() => void look(), 2000)
  return () => clearInterval(timer)
}
