// Types of the server's own page modules that the bundle shares (streamhub/web/static); build.mjs resolves `#pages/`.

declare module '#pages/link.js' {
  export interface Told {
    state: 'offline' | 'connecting' | 'live' | 'stale' | 'ended'
    /** The camera whose pictures come over this socket; null: there is none. */
    camera: { state: string; participant: string } | null
    /** How many publish in the LiveKit room. */
    publishers: number
    /** The room can be had by HLS. */
    hls: boolean
    since: Date | null
  }
  export interface Link {
    start(): void
    restart(): void
    stop(): void
    relax(yes: boolean): void
  }
  export function createLink(
    address: string | (() => string),
    on: {
      open(): void
      state(told: Told): void
      frame(jpeg: Blob): void
      down(): void
      refused(word: string): void
      blocked(): void
    },
  ): Link
}

declare module '#pages/hls.js' {
  export function playHls(
    video: HTMLVideoElement,
    url: string,
    on: { library: string; failed(status: number): void },
  ): () => void
}

declare module '#pages/poster.js' {
  export function fetchPoster(url: string): Promise<{ blob: Blob; at: number } | null>
}

declare module '#pages/mjpeg.js' {
  export function readMjpeg(url: string, on: { frame(jpeg: Blob): void; end(): void }): () => void
}

declare module '#pages/painter.js' {
  export function createPainter(
    canvas: HTMLCanvasElement,
    onShown: (frame: { blob: Blob; at: number }) => void,
  ): { push(jpeg: Blob): void; forget(): void }
}

declare module '#pages/rtc/access.js' {
  export class Refused extends Error {
    constructor(word: string)
    readonly word: string
  }
}

declare module '#pages/rtc/room.js' {
  import type * as livekit from 'livekit-client'
  export type Phase = 'off' | 'connecting' | 'connected' | 'reconnecting' | 'waiting'
  export interface RoomLink {
    start(): void
    restart(how?: { patiently?: boolean }): void
    stop(): void
    readonly phase: Phase
    readonly room: livekit.Room | null
    readonly signalled: boolean
  }
  export function createRoomLink(given: {
    ask(): Promise<{ url: string; token: string }>
    on: {
      phase(phase: Phase): void
      changed(): void
      breaking(): void
      refused(word: string): void
      ended?(reason: string): boolean
    }
    roomOptions?: livekit.RoomOptions
    autoSubscribe?: boolean
  }): RoomLink
}

declare module '#pages/rtc/media.js' {
  import type { RemoteTrackPublication } from 'livekit-client'
  export function createMediaWatch(): {
    restart(): void
    look(publications: RemoteTrackPublication[], awaited?: boolean): Promise<void>
    silence(): number
    heard(track: unknown): boolean
  }
}

declare module '#pages/rtc/people.js' {
  import type { RemoteTrackPublication, Room } from 'livekit-client'
  export interface Tile {
    id: string
    identity: string
    name: string
    kind: 'person' | 'screen'
    video: RemoteTrackPublication | null
    audios: RemoteTrackPublication[]
    speaking: boolean
    silent: boolean
    local: boolean
  }
  export function tilesOf(room: Room, which?: { only?: string | null; local?: boolean }): Tile[]
  export function expectedTracks(tiles: Tile[]): RemoteTrackPublication[]
}

declare module '#pages/rtc/sound.js' {
  export interface Sound {
    readonly muted: boolean
    readonly blocked: boolean
    readonly volume: number
    add(element: HTMLMediaElement): void
    remove(element: HTMLMediaElement): void
    setMuted(yes: boolean): void
    setVolume(value: number): void
  }
  export function createSound(given?: { muted?: boolean; volume?: number; changed?: () => void }): Sound
}

declare module '#pages/config.js' {
  interface Config {
    origin: string
    app: string
    room: string
    token: string | null
  }
  export function socketUrl(config: Config): string
  export function mjpegUrl(config: Config): string
  export function hlsUrl(config: Config): string
  export function posterUrl(config: Config, how?: { overlay?: boolean }): string
}
