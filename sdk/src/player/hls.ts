import { httpOrigin, type Place } from '../server.js'

const PROBE_LIMIT_MS = 5000
const TYPE = 'application/vnd.apple.mpegurl'

const hlsUrl = ({ server, app, room }: Place, token: string | null): string => {
  const url = new URL(`${httpOrigin(server)}/hls/${[app, room].map(encodeURIComponent).join('/')}/index.m3u8`)
  if (token) url.searchParams.set('token', token)
  return url.href
}

/** The playlist's address if this browser plays HLS by itself and the server has one for the room, else null. */
export async function probeHls(video: HTMLVideoElement, place: Place, token: string | null): Promise<string | null> {
  if (!video.canPlayType(TYPE)) return null
  const url = hlsUrl(place, token)
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), PROBE_LIMIT_MS)
  try {
    const answer = await fetch(url, { signal: abort.signal, credentials: 'omit' })
    await answer.body?.cancel()
    return answer.ok ? url : null
  } catch {
    return null
  } finally {
    clearTimeout(timer)
  }
}
