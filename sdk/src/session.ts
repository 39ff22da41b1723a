import * as livekit from 'livekit-client'
import { Refused } from '#pages/rtc/access.js'
import { createRoomLink, type Phase, type RoomLink } from '#pages/rtc/room.js'
import { asError, StreamHubError } from './errors.js'
import { Emitter } from './events.js'
import type { Access } from './server.js'

/** A message somebody sent, or that is to be sent. Text arrives as text, anything else as bytes. */
export interface DataMessage {
  from: string
  data: string | Uint8Array
  topic: string
}

/** A track of somebody else. `stream` holds all tracks of that participant. */
export interface RemoteMedia {
  identity: string
  name: string
  track: MediaStreamTrack
  stream: MediaStream
  source: string
  publication: livekit.RemoteTrackPublication
}

export type SessionState = 'connecting' | 'connected' | 'reconnecting' | 'closed'

export interface SessionEvents {
  state: [state: SessionState]
  /** Who else is in the room (the hidden are not told). */
  participants: [identities: string[]]
  track: [media: RemoteMedia]
  trackEnded: [media: RemoteMedia]
  data: [message: DataMessage]
  /** A connection attempt failed; another follows. */
  problem: [error: StreamHubError]
  /** It is over: after close(), or because the server said so. */
  closed: [reason: string]
}

export interface SessionOptions {
  /** Asked for each connection, so that no token has to outlive the first. */
  ask: () => Promise<Access>
  roomOptions?: livekit.RoomOptions
  autoSubscribe?: boolean
  /** Something in the room changed: who is there, what they publish, what is received, muted or not. */
  changed?: () => void
}

const STATES: Record<Phase, SessionState> = {
  off: 'closed',
  connecting: 'connecting',
  connected: 'connected',
  reconnecting: 'reconnecting',
  waiting: 'reconnecting',
}
// Somebody else took the place, or an operator said no: coming back by ourselves would be a fight.
const FINAL = new Set(['DUPLICATE_IDENTITY', 'PARTICIPANT_REMOVED'])
const REFUSALS: Record<number, string> = {
  401: 'playback_unauthorized',
  403: 'playback_unauthorized',
  404: 'unknown_app',
  429: 'too_many_viewers',
}

/** A stay in a LiveKit room that outlives its connections: each new one gets a fresh token and the same tracks. */
export class Session extends Emitter<SessionEvents> {
  readonly #link: RoomLink
  readonly #notify: (() => void) | undefined
  readonly #media = new Map<livekit.RemoteTrack, RemoteMedia>()
  readonly #streams = new Map<string, MediaStream>()
  readonly #local = new Map<livekit.LocalTrack, livekit.TrackPublishOptions>()
  #seen: livekit.Room | null = null
  #published: livekit.Room | null = null
  #asking: StreamHubError | null = null
  #opening: { resolve(): void; reject(error: StreamHubError): void } | null = null
  #reason = 'left'
  #receives = false
  #told = ''

  constructor({ ask, roomOptions = {}, autoSubscribe = true, changed }: SessionOptions) {
    super()
    this.#notify = changed
    this.#link = createRoomLink({
      ask: async () => {
        this.#asking = null
        try {
          const { wsUrl, token } = await ask()
          return { url: wsUrl, token }
        } catch (error) {
          this.#asking = asError(error)
          const word = REFUSALS[this.#asking.status ?? 0]
          throw word ? new Refused(word) : error
        }
      },
      // A picture that the page attaches by itself must not be paused because LiveKit's client sees no element.
      roomOptions: { adaptiveStream: false, stopLocalTrackOnUnpublish: false, ...roomOptions },
      autoSubscribe,
      on: {
        phase: phase => this.#phase(phase),
        changed: () => this.#changed(),
        breaking: () => {},
        refused: () => {},
        ended: reason => {
          if (!FINAL.has(reason)) return true
          this.#reason = reason.toLowerCase()
          return false
        },
      },
    })
  }

  get state(): SessionState {
    return STATES[this.#link.phase]
  }

  /** LiveKit's own Room of the present connection, for everything that has no name here. */
  get room(): livekit.Room | null {
    return this.#link.room
  }

  get identity(): string {
    return this.room?.localParticipant.identity ?? ''
  }

  get participants(): string[] {
    return [...(this.room?.remoteParticipants.keys() ?? [])]
  }

  /** What is received now. */
  get media(): RemoteMedia[] {
    return [...this.#media.values()]
  }

  /** Joins, and tries again without end also if the first attempt fails. */
  start(): void {
    this.#link.start()
  }

  /** Connects anew. */
  restart(how: { patiently?: boolean } = {}): void {
    this.#link.restart(how)
  }

  /** Joins. Rejects if the first attempt fails; after that connections are mended without end. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject }
      this.#link.start()
    })
  }

  /** Leaves, and lets go of camera and microphone. */
  close(): void {
    for (const track of this.#local.keys()) track.stop()
    this.#local.clear()
    this.#link.stop()
  }

  /** Takes what the others publish, also where the session began without. */
  receive(): void {
    this.#receives = true
    this.#take()
  }

  /** Publishes a track, again after each reconnection. */
  async addTrack(track: livekit.LocalTrack, options: livekit.TrackPublishOptions = {}): Promise<void> {
    this.#local.set(track, options)
    if (this.#link.phase !== 'connected' || !this.room) return
    try {
      await this.room.localParticipant.publishTrack(track, options)
    } catch (error) {
      this.#local.delete(track)
      throw asError(error, 'publish_failed')
    }
  }

  async removeTrack(track: livekit.LocalTrack): Promise<void> {
    this.#local.delete(track)
    await this.room?.localParticipant.unpublishTrack(track, true)
    track.stop()
  }

  /** Sends to all others, or to those named in `to`. Objects go as JSON. Raises StreamHubError while not connected. */
  async send(data: unknown, { topic, to, reliable = true }: { topic?: string; to?: string[]; reliable?: boolean } = {}): Promise<void> {
    if (this.state !== 'connected' || !this.room) {
      throw new StreamHubError('not_connected', 'the room is not connected', { hint: 'Send it again once it is.' })
    }
    await this.room.localParticipant.publishData(toBytes(data), {
      reliable,
      ...(topic === undefined ? {} : { topic }),
      ...(to === undefined ? {} : { destinationIdentities: to }),
    })
  }

  #phase(phase: Phase): void {
    if (phase === 'connected') void this.#publish()
    if (phase === 'connected') this.#opened()
    if (phase === 'waiting') {
      const error = this.#asking ?? new StreamHubError('unreachable', 'LiveKit could not be reached', { hint: 'It is tried again.' })
      if (this.#opening) {
        this.#opening.reject(error)
        this.#opening = null
        this.#reason = error.code
        this.close()
        return
      }
      this.emit('problem', error)
    }
    if (phase !== 'connected' && phase !== 'reconnecting') this.#forget()
    this.emit('state', STATES[phase])
    if (phase === 'off') {
      this.#opening?.reject(new StreamHubError('closed', 'it was closed'))
      this.#opening = null
      for (const track of this.#local.keys()) track.stop()
      this.emit('closed', this.#reason)
    }
  }

  #opened(): void {
    this.#opening?.resolve()
    this.#opening = null
  }

  // After a reconnection everything of ours is missing in the new room; LiveKit's client mends short breaks by itself.
  async #publish(): Promise<void> {
    const room = this.room
    if (!room || room === this.#published) return
    this.#published = room
    for (const [track, options] of this.#local) {
      try {
        if (track.mediaStreamTrack.readyState === 'ended' && !track.isUserProvided) await track.restartTrack()
        await room.localParticipant.publishTrack(track, options)
      } catch (error) {
        if (room === this.room) this.emit('problem', asError(error, 'publish_failed'))
      }
    }
  }

  #changed(): void {
    const room = this.room
    if (room && room !== this.#seen) this.#adopt(room)
    if (this.#receives) this.#take()
    const told = this.participants.join('\n')
    if (told !== this.#told) {
      this.#told = told
      this.emit('participants', this.participants)
    }
    this.#notify?.()
  }

  #take(): void {
    for (const person of this.room?.remoteParticipants.values() ?? []) {
      for (const publication of person.trackPublications.values()) {
        if (!publication.isDesired) publication.setSubscribed(true)
      }
    }
  }

  #adopt(room: livekit.Room): void {
    this.#forget()
    this.#seen = room
    const ifCurrent =
      <A extends unknown[]>(act: (...args: A) => void) =>
      (...args: A): void => {
        if (room === this.#seen) act(...args)
      }
    room.on(livekit.RoomEvent.TrackSubscribed, ifCurrent((track, publication, person) => this.#gain(track, publication, person)))
    room.on(livekit.RoomEvent.TrackUnsubscribed, ifCurrent(track => this.#lose(track)))
    room.on(
      livekit.RoomEvent.DataReceived,
      ifCurrent((payload, person, _kind, topic) => {
        this.emit('data', { from: person?.identity ?? '', data: fromBytes(payload), topic: topic ?? '' })
      }),
    )
  }

  #gain(track: livekit.RemoteTrack, publication: livekit.RemoteTrackPublication, person: livekit.RemoteParticipant): void {
    const stream = this.#streams.get(person.identity) ?? new MediaStream()
    this.#streams.set(person.identity, stream)
    stream.addTrack(track.mediaStreamTrack)
    const media: RemoteMedia = {
      identity: person.identity,
      name: person.name || person.identity,
      track: track.mediaStreamTrack,
      stream,
      source: publication.source,
      publication,
    }
    this.#media.set(track, media)
    this.emit('track', media)
  }

  #lose(track: livekit.RemoteTrack): void {
    const media = this.#media.get(track)
    if (!media) return
    this.#media.delete(track)
    media.stream.removeTrack(media.track)
    if (!media.stream.getTracks().length) this.#streams.delete(media.identity)
    this.emit('trackEnded', media)
  }

  #forget(): void {
    for (const track of [...this.#media.keys()]) this.#lose(track)
  }
}

/** Bytes to send: text as UTF-8, bytes as they are, anything else as JSON. */
export function toBytes(data: unknown): Uint8Array<ArrayBuffer> {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  return new TextEncoder().encode(typeof data === 'string' ? data : JSON.stringify(data)) as Uint8Array<ArrayBuffer>
}

/** Text where the bytes are text. */
export function fromBytes(bytes: Uint8Array): string | Uint8Array {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return bytes
  }
}
