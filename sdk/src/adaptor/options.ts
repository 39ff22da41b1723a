import type { StreamHubMediaConstraints } from '../capture.js'
import { StreamHubError } from '../errors.js'
import { absolute, type Access, accessOf, askPlayToken, mintToken, mintUrl, wsOrigin } from '../server.js'

export type AntMediaCallback = (info: string, obj?: unknown) => void
export type AntMediaErrorCallback = (error: string, message?: string) => void

/** What a token route answers, bare or as `{data: …}`. */
export interface StreamHubTokenResponse {
  token: string
  wsUrl?: string
  app?: string
  room?: string
  identity?: string
}

/** Options of AntMedia's adaptor, and ours for tokens. */
export interface StreamHubAdaptorConfig {
  /** `wss://host/<app>/websocket`, as AntMedia's; or LiveKit's bare address. */
  websocket_url?: string
  localVideoElement?: HTMLVideoElement | null
  localVideoId?: string | null
  remoteVideoElement?: HTMLVideoElement | null
  remoteVideoId?: string | null
  mediaConstraints?: StreamHubMediaConstraints
  /** Most for the video, in kbit/s. */
  bandwidth?: number
  dataChannelEnabled?: boolean
  isPlayMode?: boolean
  playOnly?: boolean
  debug?: boolean
  callback?: AntMediaCallback
  callbackError?: AntMediaErrorCallback
  callback_error?: AntMediaErrorCallback
  /** Your own backend's route, asked by POST with `{room, identity, canPublish, canSubscribe}`. */
  streamhubTokenUrl?: string
  /** The server's address; with appName its token route. */
  streamhubApiUrl?: string
  appName?: string
  /** Bearer of the mint call. An API token (`sk_…`) here is readable by everybody who opens the page. */
  streamhubApiToken?: string
  /** A ready-made join token, and LiveKit's signalling: no HTTP call at all. */
  token?: string
  wsUrl?: string
  /** Merged into the body of the mint call; room, identity, canPublish and canSubscribe win. */
  tokenRequest?: Record<string, unknown>
  /** Accepted, not used: LiveKit's server says what the connection needs. */
  peerconnection_config?: unknown
  sdp_constraints?: unknown
  pluginInitMethods?: unknown
}

/** Where tokens come from, worked out of the configuration. */
export interface Where {
  app: string | null
  /** Any address of the server; undefined: the page's own origin. */
  server: string | undefined
  wsUrl: string | null
}

export function whereOf(config: StreamHubAdaptorConfig): Where {
  const { websocket_url: address, streamhubApiUrl: api } = config
  const found = address ? /^(?:wss?|https?):\/\/[^/]+\/(.+)\/websocket\/?(?:\?.*)?$/i.exec(address) : null
  return {
    app: config.appName ?? (found?.[1] ? decodeURIComponent(found[1]) : null),
    server: api ?? address,
    wsUrl: config.wsUrl ?? (address && !found ? address : null),
  }
}

export interface Need {
  room: string
  identity: string
  canPublish: boolean
  /** How the others see us. */
  name?: string | null | undefined
  /** A token given with the call itself. */
  token?: string | null | undefined
}

/** A join token: the call's, the configured one, one minted, or, for watching only, the public play token. */
export async function accessFor(config: StreamHubAdaptorConfig, { room, identity, canPublish, name, token }: Need): Promise<Access> {
  const { app, server, wsUrl } = whereOf(config)
  const ready = isJoinToken(token) ? token : config.token
  if (ready) return { token: ready, wsUrl: wsUrl ?? wsOrigin(server) }
  const { streamhubTokenUrl, streamhubApiToken, tokenRequest } = config
  if (!streamhubTokenUrl && !app) {
    throw new StreamHubError('no_token', 'nothing says where a join token comes from', {
      hint: 'Set token and wsUrl, streamhubTokenUrl, or websocket_url as wss://host/<app>/websocket.',
    })
  }
  if (!canPublish && !streamhubTokenUrl && !streamhubApiToken && app) {
    return { ...(await askPlayToken({ ...(server ? { server } : {}), app, room })), ...(wsUrl ? { wsUrl } : {}) }
  }
  const url = streamhubTokenUrl ?? mintUrl(server, app as string, config.streamhubApiUrl)
  const named = name ? { name } : {}
  const body = { ...named, ...tokenRequest, room, identity, canPublish, canSubscribe: true }
  return accessOf(await mintToken(url, streamhubApiToken, body), server ?? absolute(url).origin, wsUrl)
}

// AntMedia's calls pass a token, often '' or a word of its own kind.
const isJoinToken = (token: unknown): token is string => typeof token === 'string' && token.split('.').length === 3

export const elementOf = (element: HTMLVideoElement | null | undefined, id: string | null | undefined): HTMLVideoElement | null =>
  element ?? (id ? (document.getElementById(id) as HTMLVideoElement | null) : null)
