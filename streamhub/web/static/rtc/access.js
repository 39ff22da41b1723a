// A viewer's way into a room: a play token of our own server, asked for anew with each connection.

const ASK_LIMIT_MS = 8000;

// The server said no; `word` is one of the viewer socket's (words.js).
export class Refused extends Error {
  constructor(word) {
    super(word);
    this.word = word;
  }
}

const WORDS = { 401: 'playback_unauthorized', 403: 'playback_unauthorized', 404: 'unknown_app', 429: 'too_many_viewers' };

// {url, token} for LiveKit's client. Raises Refused, or another Error if the server does not answer or has no LiveKit.
export async function askPlayToken(config) {
  const path = [config.app, config.room].map(encodeURIComponent).join('/play-token/');
  const address = new URL(`/api/v1/apps/${path}`, config.origin);
  if (config.token) address.searchParams.set('token', config.token);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ASK_LIMIT_MS);
  try {
    const answer = await fetch(address, { signal: abort.signal, cache: 'no-store', credentials: 'omit' });
    if (WORDS[answer.status]) throw new Refused(WORDS[answer.status]);
    if (!answer.ok) throw new Error(`play-token: HTTP ${answer.status}`);
    return { url: config.rtcUrl, token: (await answer.json()).data.token };
  } finally {
    clearTimeout(timer);
  }
}
