import { attachToElement, detachTrack, type RemoteTrack } from 'livekit-client'
import { createMediaWatch } from '#pages/rtc/media.js'
import { expectedTracks, type Tile, tilesOf } from '#pages/rtc/people.js'
import type { Sound } from '#pages/rtc/sound.js'
import type { StreamHubError } from '../errors.js'
import type { Access } from '../server.js'
import { type DataMessage, Session } from '../session.js'

/** No media for so long: something else has to be shown. */
export const MEDIA_LIMIT_MS = 4000
// A connection over which nothing comes although LiveKit's client finds it well.
const STUCK_MS = 15000
const MOST_STUCK_MS = 120000

/** A room watched by WebRTC: one publisher's picture, everybody's sound. */
export interface Watching {
  readonly running: boolean
  /** Media is arriving. */
  readonly playing: boolean
  /** It should be, and is not. */
  readonly failed: boolean
  readonly publishers: string[]
  readonly error: StreamHubError | null
  start(): void
  stop(): void
  restart(): void
  /** Looks whether bytes have come; call it twice a second. */
  look(): Promise<void>
  /** Puts the picture into the video element, or takes it out. */
  show(yes: boolean): void
}

export function createWatching(
  ask: () => Promise<Access>,
  given: { video: HTMLVideoElement; sound: Sound; participant: string | null; data(message: DataMessage): void; changed(): void },
): Watching {
  const { video, sound, participant, changed } = given
  const media = createMediaWatch()
  const heard = new Map<RemoteTrack, HTMLMediaElement>()
  let session: Session | null = null
  let tiles: Tile[] = []
  let shown: RemoteTrack | null = null
  let visible = false
  let error: StreamHubError | null = null
  let stuckAfter = STUCK_MS

  // One picture is all there is room for: the others are not even asked for.
  function choose(): void {
    const room = session?.room
    tiles = room && session?.state !== 'closed' ? tilesOf(room, { only: participant }) : []
    const main = tiles.find(tile => tile.video)?.video ?? null
    for (const tile of tiles) {
      if (tile.video && tile.video.isDesired !== (tile.video === main)) tile.video.setSubscribed(tile.video === main)
      for (const audio of tile.audios) if (!audio.isDesired) audio.setSubscribed(true)
      if (tile.video !== main) tile.video = null
    }
    attach()
    changed()
  }

  function attach(): void {
    const main = tiles.find(tile => tile.video)?.video ?? null
    const track = visible && !main?.isMuted ? (main?.track ?? null) : null
    if (track !== shown) {
      // Not track.attach(): LiveKit's client would attach its elements anew, and so mute them, with every news of the
      // track, and the player would take that for somebody's wish.
      if (shown) detachTrack(shown.mediaStreamTrack, video)
      shown = track
      if (track) {
        attachToElement(track.mediaStreamTrack, video)
        sound.add(video)
      }
    }
    if (main && shown) main.setVideoDimensions(sizeOf(video))
    const wanted = new Set(visible ? tiles.flatMap(tile => tile.audios.map(audio => audio.track)) : [])
    for (const [old, element] of heard) {
      if (wanted.has(old)) continue
      heard.delete(old)
      sound.remove(element)
      old.detach(element)
    }
    for (const one of wanted) {
      if (!one || heard.has(one)) continue
      const element = one.attach()
      heard.set(one, element)
      sound.add(element)
    }
  }

  const playing = (): boolean => {
    const expected = expectedTracks(tiles)
    return expected.some(({ track }) => track && media.heard(track)) && media.silence() < MEDIA_LIMIT_MS
  }

  return {
    get running() {
      return session !== null
    },
    get playing() {
      return session !== null && playing()
    },
    get failed() {
      return session !== null && !playing() && media.silence() >= MEDIA_LIMIT_MS
    },
    get publishers() {
      return [...new Set(tiles.map(tile => tile.identity))]
    },
    get error() {
      return error
    },
    start() {
      if (session) return
      const made = new Session({ ask, autoSubscribe: false, changed: choose })
      session = made
      media.restart()
      made.on('state', state => {
        if (state === 'connected') error = null
        choose()
      })
      made.on('problem', problem => {
        error = problem
        changed()
      })
      made.on('data', given.data)
      made.start()
    },
    stop() {
      const old = session
      session = null
      error = null
      tiles = []
      attach()
      old?.close()
    },
    restart: () => session?.restart(),
    async look() {
      if (!session) return
      // A browser may stop what nobody sees.
      if (document.visibilityState === 'hidden') media.restart()
      await media.look(expectedTracks(tiles), session?.state !== 'connected')
      if (playing()) stuckAfter = STUCK_MS
      else if (session?.state === 'connected' && media.silence() > stuckAfter) {
        stuckAfter = Math.min(stuckAfter * 2, MOST_STUCK_MS)
        session.restart({ patiently: true })
      }
      changed()
    },
    show(yes) {
      if (visible === yes) return
      visible = yes
      attach()
    },
  }
}

function sizeOf(video: HTMLVideoElement): { width: number; height: number } {
  const dots = globalThis.devicePixelRatio || 1
  return { width: Math.ceil((video.clientWidth || 640) * dots), height: Math.ceil((video.clientHeight || 360) * dots) }
}
