import type { Captured } from '../capture.js'
import type { RemoteMedia, Session } from '../session.js'

/** A room that the adaptor is in, and what for: joined, published to, played. */
export interface Stay {
  readonly room: string
  /** Our identity there; usually the id of the stream we publish. */
  readonly identity: string
  readonly canPublish: boolean
  readonly session: Session
  joined: boolean
  /** What is published, and under which id. */
  publishing: (Captured & { id: string }) | null
  /** Ids given to play() → whether anything of them arrives. */
  readonly plays: Map<string, boolean>
}

/** Whether a participant's media belong to what was asked for by play(id): everything of the room, or that participant. */
export const isPlayed = (stay: Stay, id: string, media: RemoteMedia): boolean => id === stay.room || id === media.identity

/** AntMedia's description of a room. */
export function describe(stay: Stay): Record<string, unknown> {
  const people = [...(stay.session.room?.remoteParticipants.values() ?? [])]
  return {
    ATTR_ROOM_NAME: stay.room,
    streamId: stay.identity,
    streams: people.map(person => person.identity),
    streamList: people.map(person => ({ streamId: person.identity, streamName: person.name || person.identity })),
    maxTrackCount: -1,
  }
}

export const ICE_STATES = { connecting: 'checking', connected: 'connected', reconnecting: 'disconnected', closed: 'closed' } as const

/** Why a stay ended by itself. */
export const CLOSED: Record<string, string> = {
  duplicate_identity: 'somebody joined under the same stream id',
  participant_removed: 'the server ended this stream',
}

export const madeUpName = (kind: string): string => `${kind}-${crypto.getRandomValues(new Uint32Array(2)).join('')}`
