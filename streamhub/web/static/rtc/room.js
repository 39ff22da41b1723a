// A link to a LiveKit room that does not give up: LiveKit's client mends short breaks, we connect anew after longer
// ones, each time with a token asked for anew.
//
// ask()                  → {url, token}; may raise Refused (access.js)
// on.phase(phase)        connecting, connected, reconnecting (LiveKit's client is at it), waiting (for our next try), off
// on.changed()           who is there, what they publish, or who speaks may have changed
// on.breaking()          the connection is about to be mended: the last moment to keep what is on the screen
// on.refused(word, why)  ask() was refused, why: what it said besides; asked again later
// on.ended(reason)       LiveKit closed the connection, its DisconnectReason as a word; false: do not come back

import { createBackoff } from '../pace.js';
import { Refused } from './access.js';
import { loadLivekit } from './livekit.js';

const OPEN_LIMIT_MS = 8000;
const MEDIA_LIMIT_MS = 10000;
const REFUSED_DELAY_MS = 30000;
const STEADY_MS = 5000;
const MENDING_MS = [0, 300, 1000, 2000, 4000];

const CHANGES = [
  ...['ParticipantConnected', 'ParticipantDisconnected', 'ParticipantNameChanged', 'ActiveSpeakersChanged'],
  ...['TrackPublished', 'TrackUnpublished', 'TrackSubscribed', 'TrackUnsubscribed', 'TrackMuted', 'TrackUnmuted'],
  ...['LocalTrackPublished', 'LocalTrackUnpublished', 'TrackSubscriptionStatusChanged'],
];

export function createRoomLink({ ask, on, roomOptions = {}, autoSubscribe = true }) {
  const backoff = createBackoff();
  let phase = 'off';
  let livekit = null;
  let room = null;
  let signalled = false; // has the present attempt reached LiveKit's signalling
  let attempt = 0;
  let timer = 0;
  let connectedAt = 0;

  function become(next) {
    if (phase === next) return;
    phase = next;
    on.phase(next);
  }

  async function dial() {
    drop();
    const mine = attempt;
    become('connecting');
    try {
      livekit = await loadLivekit();
      const access = await ask();
      if (mine !== attempt) return;
      room = open(mine);
      await room.connect(access.url, access.token, {
        autoSubscribe,
        maxRetries: 0,
        websocketTimeout: OPEN_LIMIT_MS,
        peerConnectionTimeout: MEDIA_LIMIT_MS,
      });
    } catch (error) {
      if (mine === attempt) failed(error);
    }
  }

  function open(mine) {
    const made = new livekit.Room({
      adaptiveStream: true,
      dynacast: true,
      reconnectPolicy: { nextRetryDelayInMs: ({ retryCount }) => MENDING_MS[retryCount] ?? null },
      ...roomOptions,
    });
    const event = livekit.RoomEvent;
    const ifCurrent = (act) => (...given) => {
      if (mine === attempt) act(...given);
    };
    const settled = ifCurrent(() => {
      connectedAt = performance.now();
      become('connected');
      on.changed();
    });
    const mending = ifCurrent(() => {
      on.breaking();
      become('reconnecting');
    });
    made.on(event.SignalConnected, ifCurrent(() => {
      signalled = true;
      on.changed();
    }));
    made.on(event.Connected, settled);
    made.on(event.Reconnected, settled);
    made.on(event.SignalReconnecting, mending);
    made.on(event.Reconnecting, mending);
    // While connecting, the failure of connect() tells more.
    made.on(event.Disconnected, ifCurrent((reason) => {
      if (phase === 'connected' || phase === 'reconnecting') ended(livekit.DisconnectReason[reason] || 'UNKNOWN_REASON');
    }));
    for (const name of CHANGES) made.on(event[name], ifCurrent(() => on.changed()));
    return made;
  }

  function failed(error) {
    drop();
    if (error instanceof Refused) {
      wait(REFUSED_DELAY_MS * (0.5 + Math.random() / 2));
      on.refused(error.word, error.problem);
    } else {
      wait(backoff.next());
    }
  }

  function ended(reason) {
    if (performance.now() - connectedAt > STEADY_MS) backoff.reset();
    drop();
    if (on.ended && on.ended(reason) === false) become('off');
    else wait(backoff.next());
  }

  function wait(ms) {
    timer = setTimeout(dial, ms);
    become('waiting');
  }

  // Nothing that was going on counts any more.
  function drop() {
    const old = room;
    attempt += 1;
    clearTimeout(timer);
    timer = 0;
    room = null;
    signalled = false;
    // Tracks are stopped by whoever opened them: the next room may get the same ones.
    if (old) old.disconnect(false).catch(() => {});
  }

  return {
    // Connects, or at once again if it was waiting to.
    start() {
      if (phase === 'off' || phase === 'waiting') dial();
    },
    // Connects anew even if the old connection looks well.
    restart({ patiently = false } = {}) {
      if (phase === 'off') return;
      if (patiently) {
        drop();
        wait(backoff.next());
        return;
      }
      backoff.reset();
      dial();
    },
    stop() {
      drop();
      become('off');
    },
    get phase() {
      return phase;
    },
    // LiveKit's Room of the present connection, or null.
    get room() {
      return room;
    },
    get livekit() {
      return livekit;
    },
    get signalled() {
      return signalled;
    },
  };
}
