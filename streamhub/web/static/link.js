// The viewer socket: dials, listens, notices silence, dials again for ever. One timer drives all of it.
//
// on.state(told)           the server's word: {state, since, camera, publishers, hls}; state is live, stale, offline, …
//                          camera {state, participant} is the source of the pictures here, null if there is none
// on.frame(blob)           one JPEG
// on.down()                the connection is gone, another attempt follows
// on.refused(word)         the server said no (playback_unauthorized, unknown_app, …); asked again later
// on.open()                connected; on.blocked(): several dials in a row never opened

import { createBackoff, createRhythm } from './pace.js';

const TICK_MS = 250;
const OPEN_LIMIT_MS = 8000;
const FIRST_WORD_LIMIT_MS = 10000;
// The server's pings cannot be seen from here; a room that is not live says nothing, so look again now and then.
const QUIET_LIMIT_MS = 45000;
const SLEEP_GAP_MS = 8000;
const STEADY_MS = 5000;
const REFUSED_DELAY_MS = 30000;
const BLOCKED_AFTER = 3;

// `address` may be a function, asked at each dial: tokens in it end.
export function createLink(address, on) {
  const backoff = createBackoff();
  const rhythm = createRhythm();
  let phase = 'off'; // off, waiting, opening, open
  let socket = null;
  let state = null; // of the camera: its pictures are what is waited for
  let refusal = null;
  let unopened = 0;
  let relaxed = false;
  let dueAt = 0;
  let openedAt = 0;
  let heardAt = 0;
  let tickedAt = 0;

  function dial() {
    drop();
    phase = 'opening';
    refusal = state = null;
    heardAt = performance.now();
    const dialled = new WebSocket(typeof address === 'function' ? address() : address);
    dialled.binaryType = 'blob';
    const ifCurrent = (act) => (event) => {
      if (dialled === socket) act(event);
    };
    dialled.onopen = ifCurrent(opened);
    dialled.onmessage = ifCurrent(heard);
    dialled.onclose = ifCurrent(lost);
    socket = dialled;
  }

  function opened() {
    phase = 'open';
    unopened = 0;
    openedAt = heardAt = performance.now();
    on.open();
  }

  function heard(event) {
    const now = performance.now();
    if (typeof event.data !== 'string') {
      heardAt = now;
      if (state === 'live') rhythm.frame(now);
      on.frame(event.data);
      return;
    }
    const message = parse(event.data);
    if (message.type === 'error') refusal = refusalOf(message);
    if (message.type !== 'state') return;
    const told = tellingOf(message);
    const next = told.camera ? told.camera.state : 'offline';
    // Words about a live camera are no substitute for its pictures.
    if (next !== 'live' || state !== 'live') heardAt = now;
    if (state !== 'live') rhythm.resumed();
    state = next;
    on.state(told);
  }

  function lost() {
    const now = performance.now();
    if (phase === 'opening') unopened += 1;
    if (phase === 'open' && now - openedAt > STEADY_MS) backoff.reset();
    drop();
    phase = 'waiting';
    dueAt = now + (relaxed ? REFUSED_DELAY_MS : backoff.next());
    if (refusal) {
      dueAt = now + REFUSED_DELAY_MS * (0.5 + Math.random() / 2);
      on.refused(refusal);
      return;
    }
    on.down();
    if (unopened >= BLOCKED_AFTER) on.blocked();
  }

  function drop() {
    const old = socket;
    socket = null;
    if (old) old.close();
  }

  function limit() {
    if (state === null) return FIRST_WORD_LIMIT_MS;
    return state === 'live' ? rhythm.limit() : QUIET_LIMIT_MS;
  }

  function tick() {
    const now = performance.now();
    // Date goes on while a laptop sleeps; performance.now() does not everywhere.
    const slept = tickedAt && Date.now() - tickedAt > SLEEP_GAP_MS && document.visibilityState === 'visible';
    tickedAt = Date.now();
    if (slept) {
      if (phase === 'open') on.down();
      dial();
    } else if (phase === 'waiting' && now >= dueAt) {
      dial();
    } else if (phase === 'opening' && now - heardAt > OPEN_LIMIT_MS) {
      lost();
    } else if (phase === 'open' && now - heardAt > limit()) {
      if (state === 'live') rhythm.disappointed();
      // A quiet room is not a lost one: look again without alarming anybody.
      if (state === null || state === 'live') lost();
      else dial();
    }
  }

  let timer = 0;
  return {
    // Connects, or at once again if it was waiting to.
    start() {
      if (!timer) timer = setInterval(tick, TICK_MS);
      if (phase === 'off' || phase === 'waiting') dial();
    },
    // Connects anew even if the old connection looks well: the network below has changed.
    restart() {
      if (!timer) return;
      backoff.reset();
      on.down();
      dial();
    },
    stop() {
      clearInterval(timer);
      timer = tickedAt = 0;
      phase = 'off';
      drop();
    },
    // While another way delivers pictures there is no hurry; when it ends there is again.
    relax(yes) {
      if (relaxed && !yes && phase === 'waiting') dueAt = Math.min(dueAt, performance.now() + backoff.next());
      relaxed = yes;
    },
  };
}

// The word of a refusal that another attempt will not change soon; a restart or a mishap is none.
function refusalOf(message) {
  return /^44/.test(message.code) && message.message !== 'handshake_error' ? String(message.message) : null;
}

function tellingOf({ state, since, camera, publishers, hls }) {
  const at = since ? new Date(since) : null;
  return { state, since: at, camera: camera || null, publishers: publishers || 0, hls: Boolean(hls) };
}

function parse(text) {
  try {
    return JSON.parse(text) || {};
  } catch (_) {
    return {};
  }
}
