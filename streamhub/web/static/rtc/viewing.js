// Watching a room by WebRTC: link, tiles and the question whether anything arrives, for pages that only watch.

import { askPlayToken } from './access.js';
import { createMediaWatch } from './media.js';
import { expectedTracks, forgoDrawn, tilesOf } from './people.js';
import { createQuality, hasLayers } from './quality.js';
import { createRoomLink } from './room.js';
import { createTiles } from './tiles.js';

const TICK_MS = 500;
export const MEDIA_LIMIT_MS = 4000;
// A connection over which nothing comes although LiveKit's client finds it well.
const STUCK_MS = 15000;
const MOST_STUCK_MS = 120000;
// A publisher who comes back finds the page still in the room.
const LINGER_MS = 30000;

// `config` as read by config.js. on.changed(): ask `state()` again.
export function createViewing(config, container, sound, on) {
  const media = createMediaWatch();
  const quality = createQuality();
  const tiles = createTiles(container, sound, { pictured: look, resized: () => on.changed() });
  let list = [];
  let wanted = false; // the server says that somebody publishes
  let refused = null;
  let played = false; // since the link was started
  let ever = false;
  let reached = false; // LiveKit, in this stay
  let stuckAfter = STUCK_MS;
  let timer = 0;
  let lingering = 0;

  const link = createRoomLink({
    ask: () => askPlayToken(config),
    autoSubscribe: config.participant === null,
    on: {
      phase(phase) {
        if (phase === 'connected' || phase === 'off') refused = null;
        sync();
      },
      changed: sync,
      breaking: () => tiles.freeze(),
      refused(word) {
        refused = word;
        sync();
      },
    },
  });

  // What was on the screen stays there while the connection is mended.
  function sync() {
    // The four seconds are the network's, not those of the page's own loading.
    if (link.signalled && !reached) media.restart();
    reached = reached || link.signalled;
    if (link.phase === 'off') list = [];
    else if (link.phase === 'connected' || (link.signalled && !list.length)) {
      list = tilesOf(link.room, { only: config.participant });
      if (config.participant !== null) subscribe();
      else forgoDrawn(link.room);
      quality.apply(list, link.livekit);
    }
    tiles.show(list);
    on.changed();
  }

  function subscribe() {
    for (const { video, audios } of list) {
      for (const one of [video, ...audios]) if (one && !one.isDesired) one.setSubscribed(true);
    }
  }

  async function look() {
    const expected = expectedTracks(list);
    // A browser may stop what nobody sees.
    if (document.visibilityState === 'hidden') media.restart();
    await media.look(expected, link.phase !== 'connected');
    if (link.phase === 'off') return;
    tiles.mark((track) => media.heard(track) && media.silence(track) > MEDIA_LIMIT_MS);
    if (isPlaying()) {
      played = ever = true;
      stuckAfter = STUCK_MS;
    } else if (link.phase === 'connected' && media.silence() > stuckAfter) {
      stuckAfter = Math.min(stuckAfter * 2, MOST_STUCK_MS);
      tiles.freeze();
      link.restart({ patiently: true });
    }
    on.changed();
  }

  function isPlaying() {
    const expected = expectedTracks(list);
    const heard = expected.length === 0 || expected.some(({ track }) => track && media.heard(track));
    return list.length > 0 && heard && media.silence() < MEDIA_LIMIT_MS;
  }

  function run() {
    clearTimeout(lingering);
    lingering = 0;
    if (link.phase === 'off') {
      played = reached = false;
      media.restart();
      timer = setInterval(look, TICK_MS);
    }
    link.start();
  }

  function stop() {
    clearTimeout(lingering);
    clearInterval(timer);
    lingering = timer = 0;
    wanted = false;
    link.stop();
  }

  return {
    // The server's word: whether anybody publishes.
    want(yes) {
      if (yes === wanted) return;
      wanted = yes;
      if (yes) run();
      else lingering = setTimeout(stop, LINGER_MS);
    },
    // Leaves the room until somebody is wanted again.
    stop,
    // The network below has changed, or somebody is impatient.
    restart() {
      if (!isPlaying()) link.restart();
    },
    // playing: something arrives. failed: it should, and has not for four seconds; reached: LiveKit itself was
    // reached. played: something has arrived in this stay; ever: in any. refused: the word of the server's refusal, or
    // null. absent: the one participant to show is not there.
    state() {
      const playing = isPlaying();
      return {
        wanted,
        playing,
        played,
        ever,
        failed: (wanted || list.length > 0) && !playing && media.silence() >= MEDIA_LIMIT_MS,
        reached: link.signalled,
        refused,
        people: list.length,
        absent: link.phase === 'connected' && config.participant !== null && !list.length,
      };
    },
    tiles,
    get hasLayers() {
      return hasLayers(list);
    },
    setQuality(name) {
      quality.set(name);
      if (link.livekit) quality.apply(list, link.livekit);
    },
  };
}
