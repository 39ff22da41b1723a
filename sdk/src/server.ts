import { StreamHubError } from './errors.js'

const ASK_LIMIT_MS = 8000
const MINT_WARNING =
  'streamhub-adaptor: an API token (sk_…) is in this page. Whoever opens the page can copy it and publish, spend your ' +
  'server’s capacity, and read or end streams, until you revoke it. Mint join tokens on your own server instead and give the page ' +
  '{token, wsUrl} (token + wsUrl, getToken or streamhubTokenUrl). To watch, no token is needed: play() asks play-token.'

/** A room of an app on a server. `server` defaults to the origin of the page, or of the global script. */
export interface Place {
  server?: string
  app: string
  room: string
}

/** What LiveKit's client needs to join. */
export interface Access {
  token: string
  /** Where LiveKit's signalling answers. */
  wsUrl: string
}

/** A backend's answer: the whole access, or its token alone where the server's own address does for the rest. */
export type TokenAnswer = string | { token: string; wsUrl?: string }

let standard: string | null = null
/** The global script calls it with its own origin. */
export function setDefaultServer(origin: string): void {
  standard = origin
}

/** The server's origin as http(s). Raises StreamHubError for what is no address. */
export function httpOrigin(server?: string): string {
  const text = server ?? standard ?? globalThis.location?.origin
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(text ?? '') ? (text as string) : `https://${text}`)
    return `${/^(ws|http):$/.test(url.protocol) ? 'http:' : 'https:'}//${url.host}`
  } catch {
    throw new StreamHubError('bad_server', `'${text}' is no address of a server`, {
      hint: 'Give server, e.g. https://hub.example.',
    })
  }
}

export const wsOrigin = (server?: string): string => httpOrigin(server).replace(/^http/, 'ws')

const segments = (...parts: string[]): string => parts.map(encodeURIComponent).join('/')

/** Where join tokens of an app are minted. `api`: the address of the REST API if it is not the server's `/api/v1`. */
export function mintUrl(server: string | undefined, app: string, api?: string): string {
  const base = api && absolute(api).pathname !== '/' ? api.replace(/\/+$/, '') : `${httpOrigin(server)}/api/v1`
  return `${base}/apps/${segments(app)}/tokens`
}

/** A viewer's access, for everybody in a public app; in a private one `token` must be one that may watch the room. */
export async function askPlayToken({ server, app, room }: Place, token?: string | null): Promise<Access> {
  const url = new URL(`${httpOrigin(server)}/api/v1/apps/${segments(app)}/play-token/${segments(room)}`)
  if (token) url.searchParams.set('token', token)
  return accessOf(await call(url.href, { method: 'GET' }), server)
}

let warned = false

/** Says once, on the console, why an API token must not be in a page, and what to do instead. */
export function warnOfApiToken(token: string | null | undefined): void {
  if (warned || !token?.startsWith('sk_')) return
  warned = true
  console.warn(MINT_WARNING)
}

/** The answer of a token route; `apiToken` is its Bearer. */
export async function mintToken(url: string, apiToken: string | null | undefined, body: object): Promise<unknown> {
  warnOfApiToken(apiToken)
  const headers: Record<string, string> = { 'Content-Type': 'application/json' }
  if (apiToken) headers.Authorization = `Bearer ${apiToken}`
  return call(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

/** Brings a backend's answer into one form. Raises StreamHubError if there is no token in it. */
export function accessOf(answer: unknown, server?: string, wsUrl?: string | null): Access {
  const inner = (answer as { data?: unknown } | null)?.data ?? answer
  const { token, wsUrl: told } = typeof inner === 'string' ? { token: inner, wsUrl: undefined } : ((inner ?? {}) as Partial<Access>)
  if (typeof token !== 'string' || !token) {
    throw new StreamHubError('no_token', 'the answer holds no token', { hint: 'Answer {"token": …, "wsUrl": …}.' })
  }
  return { token, wsUrl: wsUrl || told || wsOrigin(server) }
}

async function call(url: string, request: RequestInit): Promise<unknown> {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), ASK_LIMIT_MS)
  try {
    const answer = await fetch(url, { ...request, signal: abort.signal, cache: 'no-store', credentials: 'omit' })
    const body = (await answer.json().catch(() => null)) as Record<string, string> | null
    if (answer.ok) return body
    throw new StreamHubError(body?.code ?? 'http_error', body?.message ?? `HTTP ${answer.status} from ${url}`, {
      hint: body?.hint ?? '',
      status: answer.status,
    })
  } catch (error) {
    if (error instanceof StreamHubError) throw error
    throw new StreamHubError('unreachable', `no answer from ${absolute(url).origin}`, {
      hint: otherOrigin(url) ? 'Is it up, and does its setting cors_origins name this page’s origin?' : 'Is it up?',
      cause: error,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** An address, relative ones by the page's. */
export const absolute = (url: string): URL => new URL(url, globalThis.location?.href)
const otherOrigin = (url: string): boolean => absolute(url).origin !== globalThis.location?.origin
