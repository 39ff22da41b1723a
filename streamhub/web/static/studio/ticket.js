// The join token of this tab: taken from the address once and then out of sight (a shared screen shows the address bar),
// kept until the tab closes, so that the page may be loaded again. What it allows is read here; the server decides.

import { Refused } from '../rtc/access.js';

const ASK_LIMIT_MS = 15000; // LiveKit takes three seconds to refuse one

const keyOf = ({ app, room }) => `studio ${app}/${room}`;

// The token, or null. `#token=` is what links should use: a browser sends a fragment to nobody.
export function takeToken(config) {
  const given = tokenIn(location.hash.slice(1)) || tokenIn(location.search);
  if (!given) return recall(config);
  // Without a store it has to stay where a reload finds it, but not where it would be sent. What is no join token (an
  // API token, by mistake) is kept nowhere.
  const kept = keepToken(config, given) || !readTicket(given);
  history.replaceState(null, '', kept ? location.pathname : `${location.pathname}#token=${given}`);
  return given;
}

// From what somebody pastes: a token by itself, or a link that holds one.
export function tokenIn(text) {
  const named = /(?:^|[?#&])token=([^&#\s]+)/.exec(text);
  return named ? decodeURIComponent(named[1]) : null;
}

// Whether it is kept; what is no join token never is.
export function keepToken(config, token) {
  try {
    if (!readTicket(token)) return false;
    sessionStorage.setItem(keyOf(config), token);
    return true;
  } catch (_) {
    return false;
  }
}

export function forgetToken(config) {
  try {
    sessionStorage.removeItem(keyOf(config));
  } catch (_) {
    // Then it was not kept either.
  }
}

function recall(config) {
  try {
    return sessionStorage.getItem(keyOf(config));
  } catch (_) {
    return null;
  }
}

// What the token says; null if it is none.
export function readTicket(token) {
  try {
    const part = token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    const grant = claims.video || {};
    const sources = grant.canPublishSources || [];
    const may = (source) => grant.canPublish !== false && !grant.hidden && (!sources.length || sources.includes(source));
    return {
      room: grant.room || '',
      name: claims.name || claims.sub || '',
      expiresAt: claims.exp ? claims.exp * 1000 : Infinity,
      camera: may('camera'),
      microphone: may('microphone'),
      screen: may('screen_share'),
      screenSound: may('screen_share_audio'),
      hears: grant.canSubscribe !== false,
    };
  } catch (_) {
    return null;
  }
}

// The later of two tokens: LiveKit renews them for whoever is in a room.
export function laterToken(a, b) {
  const [one, other] = [readTicket(a), readTicket(b)];
  return other && other.expiresAt > one.expiresAt ? b : a;
}

// Returns if LiveKit takes the token. Raises Refused (`word`, perhaps `problem` with message and hint of the server), or
// another Error if it could not be asked.
export async function checkToken(token) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ASK_LIMIT_MS);
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch('/rtc/validate', { headers, signal: abort.signal, cache: 'no-store', credentials: 'omit' });
    const text = await answer.text();
    if (answer.status === 401 || answer.status === 403) throw new Refused(/expired/.test(text) ? 'expired' : 'invalid');
    if (answer.status === 503 && parse(text).code === 'no_livekit') throw refusedBy('no_livekit', parse(text));
    if (!answer.ok) throw new Error(parse(text).message || text || `HTTP ${answer.status}`);
  } finally {
    clearTimeout(timer);
  }
}

function refusedBy(word, problem) {
  return Object.assign(new Refused(word), { problem });
}

function parse(text) {
  try {
    return JSON.parse(text) || {};
  } catch (_) {
    return {};
  }
}
