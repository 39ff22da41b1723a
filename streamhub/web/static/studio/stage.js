// In the room: publishes what `capture` has, shows everybody, and comes back by itself.
//
// on.quality(word)           of this person's connection: excellent, good, poor, lost, or '' for unknown
// on.changed({phase, others, live}): how many others there are to see, and whether anything of ours is on
// on.closed(word, problem)   it is over: a refusal of the token or a reason of LiveKit, for words.js
// on.failed(source, error)   a track could not be published; null: now it is

import { createMediaWatch } from '../rtc/media.js';
import { expectedTracks, forgoDrawn, tilesOf } from '../rtc/people.js';
import { createRoomLink } from '../rtc/room.js';
import { createTiles } from '../rtc/tiles.js';
import { watchPictures } from './pictures.js';
import { checkToken, laterToken } from './ticket.js';
import { ENDINGS } from './words.js';

const LOOK_MS = 1000;
const QUIET_MS = 4000;
const AGAIN_MS = 3000;
const MOST_AGAIN = 3;

export function createStage({ config, token, capture, container, arrange, sound, speaker, on }) {
  const roomOptions = {
    // The tracks are the page's: it stops them itself, and says good-bye itself, because whoever is asked whether to
    // leave the page may also stay.
    stopLocalTrackOnUnpublish: false,
    disconnectOnPageLeave: false,
    audioOutput: speaker ? { deviceId: speaker } : {},
  };
  const media = createMediaWatch();
  const tiles = createTiles(container, sound);
  let list = [];
  let published = null; // the Room that has our tracks
  let publishing = Promise.resolve();
  let again = 0; // how often publishing was tried again over this connection
  let timer = 0;

  const link = createRoomLink({
    async ask() {
      await checkToken(token);
      return { url: config.rtcUrl, token };
    },
    roomOptions,
    on: {
      phase(phase) {
        if (phase === 'connected') arrived();
        sync();
      },
      changed: sync,
      breaking: () => tiles.freeze(),
      refused: (word, problem) => close(word, problem),
      ended(reason) {
        if (!ENDINGS[reason]) return true;
        close(reason);
        return false;
      },
    },
  });
  const pictures = watchPictures(config, container, { changed: sync });
  const looking = setInterval(look, LOOK_MS);

  // LiveKit's client brings along what was published when it mends a connection. Into a new room our tracks come by us,
  // and so do those whose publication the break had interrupted.
  function arrived() {
    again = 0;
    if (published !== link.room) welcome();
    publishing = publishing.then(() => publish(capture.all));
  }

  function welcome() {
    const { room, livekit } = link;
    published = room;
    room.on(livekit.RoomEvent.ConnectionQualityChanged, (quality, person) => {
      if (person === room.localParticipant) on.quality(quality === 'unknown' ? '' : quality);
    });
    // Not in LiveKit's documentation; without it a break after the token's end could not be mended.
    if (room.engine && room.engine.on) {
      room.engine.on('tokenRefreshed', (renewed) => {
        token = laterToken(token, renewed);
      });
    }
    publishing = publishing.then(() => capture.prepare());
  }

  async function publish(tracks) {
    const { room } = link;
    if (link.phase !== 'connected') return; // arrived() will
    for (const track of tracks) {
      if ([...room.localParticipant.trackPublications.values()].some((one) => one.track === track)) continue;
      try {
        await room.localParticipant.publishTrack(track);
        on.failed(track.source, null);
      } catch (error) {
        if (room !== link.room || !capture.all.includes(track)) continue;
        on.failed(track.source, error);
        if (again < MOST_AGAIN) retry();
      }
    }
    sync();
  }

  function retry() {
    again += 1;
    clearTimeout(timer);
    timer = setTimeout(() => {
      publishing = publishing.then(() => publish(capture.all));
    }, AGAIN_MS);
  }

  async function unpublish(tracks) {
    const { room } = link;
    if (room) for (const track of tracks) await room.localParticipant.unpublishTrack(track, false).catch(() => {});
    sync();
  }

  // What was on the screen stays there while the connection is mended.
  function sync() {
    if (link.phase === 'off') list = [];
    else if (link.phase === 'connected') {
      forgoDrawn(link.room);
      // One's own screen within one's own screen has no end.
      list = tilesOf(link.room, { local: true }).filter((tile) => !(tile.local && tile.kind === 'screen'));
    }
    tiles.show(list.map((tile) => (tile.local ? { ...tile, name: `${tile.name} (you)` } : tile)));
    arrange();
    const live = capture.all.some((track) => !track.isMuted);
    on.changed({ phase: link.phase, live, others: container.querySelectorAll('.tile:not([data-local])').length });
  }

  async function look() {
    if (document.visibilityState === 'hidden') media.restart();
    await media.look(expectedTracks(list));
    tiles.mark((track) => link.phase === 'connected' && media.heard(track) && media.silence(track) > QUIET_MS);
  }

  function close(word, problem) {
    stop();
    on.closed(word, problem);
  }

  function stop() {
    clearInterval(looking);
    clearTimeout(timer);
    pictures.stop();
    link.stop();
  }

  return {
    start: () => link.start(),
    // One of our tracks was switched on or off.
    changed: sync,
    stop,
    // One after the other: LiveKit's client negotiates each.
    add: (tracks) => (publishing = publishing.then(() => publish(tracks))),
    remove: (tracks) => (publishing = publishing.then(() => unpublish(tracks))),
    // The network is back: no need to wait for the next try.
    hurry() {
      if (link.phase === 'waiting') link.start();
    },
    async setSpeaker(deviceId) {
      roomOptions.audioOutput.deviceId = deviceId;
      if (link.phase === 'connected') await link.room.switchActiveDevice('audiooutput', deviceId);
    },
  };
}
