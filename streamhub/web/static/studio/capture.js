// Camera, microphone and screen of this person: opened, switched off and on, exchanged, with LiveKit's local tracks.
// They belong to the page, not to a room: a new connection publishes the same ones.
//
// on.changed(kind)          its track or state is another one
// on.added(tracks)          while live: to be published; it is waited for
// on.removed(tracks)        while live: not to be published any more; it is waited for
// on.said(kind, words)      what went wrong, in words; '' when it is over

import { deviceWords, goneWords } from './words.js';

const VOICE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const PICTURE = { width: 1280, height: 720, frameRate: 30 };
// The sound of the whole system has everybody else's voice in it: they would hear themselves.
const SCREEN = { selfBrowserSurface: 'exclude', surfaceSwitching: 'include', systemAudio: 'exclude', contentHint: 'detail' };

export function createCapture(livekit, on, { chosen: before = {}, screenSound = true } = {}) {
  const tracks = { camera: null, microphone: null, screen: null, screenSound: null };
  const chosen = { camera: before.camera, microphone: before.microphone }; // device ids
  const busy = {};
  let live = false;
  let stay = 0; // a device that opens after one has left is closed again

  const options = {
    camera: () => ({ resolution: PICTURE, ...(chosen.camera ? { deviceId: chosen.camera } : {}) }),
    microphone: () => ({ ...VOICE, ...(chosen.microphone ? { deviceId: chosen.microphone } : {}) }),
  };

  // Both with one question of the browser; if one of them cannot be had, the other by itself.
  async function open(kinds) {
    const mine = stay;
    if (kinds.length > 1) {
      try {
        const made = await livekit.createLocalTracks({ video: options.camera(), audio: options.microphone() });
        if (mine !== stay) return made.forEach((track) => track.stop());
        for (const track of made) adopt(track.kind === 'video' ? 'camera' : 'microphone', track);
        if (live) await on.added(made); // somebody joined before the browser's question was answered
        return;
      } catch (error) {
        if (error.name === 'NotAllowedError' && !(await anyAllowed(kinds))) {
          for (const kind of kinds) on.said(kind, deviceWords(kind, error));
          return;
        }
      }
    }
    for (const kind of kinds) if (mine === stay) await start(kind);
  }

  async function start(kind) {
    const mine = stay;
    try {
      const made = await make(kind);
      if (mine !== stay) return made.stop();
      adopt(kind, made);
    } catch (error) {
      on.said(kind, deviceWords(kind, error));
      return false;
    }
    if (live) await on.added([tracks[kind]]);
    return true;
  }

  const make = (kind) =>
    kind === 'camera' ? livekit.createLocalVideoTrack(options.camera()) : livekit.createLocalAudioTrack(options.microphone());

  function adopt(kind, track) {
    const old = tracks[kind];
    if (old) old.stop();
    tracks[kind] = track;
    let name = track.mediaStreamTrack.label;
    let lost = false;
    const ifCurrent = (act) => () => {
      if (tracks[kind] === track) act();
    };
    track.on(livekit.TrackEvent.Ended, ifCurrent(() => {
      lost = true;
      // While live LiveKit's client looks for another device by itself, then says Restarted or Muted.
      if (!live) replace(kind, name);
    }));
    track.on(livekit.TrackEvent.Restarted, ifCurrent(() => {
      const now = track.mediaStreamTrack.label;
      if (lost) on.said(kind, goneWords(kind, name, now));
      lost = false;
      name = now;
      on.changed(kind);
    }));
    track.on(livekit.TrackEvent.Muted, ifCurrent(() => {
      if (lost) replace(kind, name);
      else on.changed(kind);
    }));
    track.on(livekit.TrackEvent.Unmuted, ifCurrent(() => on.changed(kind)));
    on.said(kind, '');
    on.changed(kind);
  }

  // Its device has gone: any other will do, and the person is told.
  async function replace(kind, name) {
    chosen[kind] = undefined;
    await drop(kind);
    if (await start(kind)) on.said(kind, goneWords(kind, name, tracks[kind].mediaStreamTrack.label));
    else on.said(kind, goneWords(kind, name, null));
  }

  async function drop(kind) {
    const track = tracks[kind];
    if (!track) return;
    tracks[kind] = null;
    if (live) await on.removed([track]);
    track.stop();
    on.changed(kind);
  }

  async function turnOn(kind) {
    if (!tracks[kind]) return start(kind);
    try {
      await tracks[kind].unmute();
      on.said(kind, '');
    } catch (error) {
      on.said(kind, deviceWords(kind, error));
    }
  }

  // While live the others keep seeing that there is one, switched off. LiveKit's client turns the camera's light off, too.
  const turnOff = (kind) => (live ? tracks[kind].mute() : drop(kind));

  async function share() {
    let made;
    try {
      made = await livekit.createLocalScreenTracks({ audio: screenSound, ...SCREEN });
    } catch (error) {
      // Who closes the browser's list of screens knows it.
      const closed = error.name === 'NotAllowedError' && !/system/i.test(error.message);
      on.said('screen', closed ? '' : deviceWords('screen', error));
      return;
    }
    tracks.screen = made.find((track) => track.kind === 'video');
    tracks.screenSound = made.find((track) => track.kind === 'audio') || null;
    const mine = tracks.screen;
    mine.on(livekit.TrackEvent.Ended, () => {
      if (tracks.screen === mine) unshare();
    });
    on.said('screen', '');
    on.changed('screen');
    await on.added(made);
  }

  async function unshare() {
    const old = [tracks.screen, tracks.screenSound].filter(Boolean);
    tracks.screen = tracks.screenSound = null;
    on.changed('screen');
    await on.removed(old);
    for (const track of old) track.stop();
  }

  const isOn = (kind) => Boolean(tracks[kind]) && !tracks[kind].isMuted;

  return {
    open,
    isOn,
    isBusy: (kind) => Boolean(busy[kind]),
    track: (kind) => tracks[kind],
    // All there is to publish.
    get all() {
      return Object.values(tracks).filter(Boolean);
    },
    // A second press while the first is at work does nothing.
    async toggle(kind) {
      if (busy[kind]) return;
      busy[kind] = true;
      on.changed(kind);
      try {
        if (kind === 'screen') await (isOn(kind) ? unshare() : share());
        else await (isOn(kind) ? turnOff(kind) : turnOn(kind));
      } catch (error) {
        on.said(kind, deviceWords(kind, error));
      } finally {
        busy[kind] = false;
        on.changed(kind);
      }
    },
    // Another device, also while live: whoever watches notices nothing but the picture.
    async choose(kind, deviceId) {
      chosen[kind] = deviceId;
      if (!tracks[kind]) return;
      try {
        await tracks[kind].setDeviceId({ exact: deviceId });
        on.said(kind, '');
      } catch (error) {
        on.said(kind, deviceWords(kind, error));
      }
      on.changed(kind);
    },
    // From now on switching off only mutes. What is switched off before is not published at all.
    async setLive(yes) {
      live = yes;
      if (yes) return;
      stay += 1;
      if (tracks.screen) await unshare();
      for (const kind of ['camera', 'microphone']) await drop(kind);
    },
    // For a new connection: a camera that is switched off has nothing to begin with.
    async prepare() {
      if (tracks.camera && tracks.camera.isMuted) {
        tracks.camera.stop();
        tracks.camera = null;
        on.changed('camera');
      }
    },
  };
}

// Whether the browser would still give one of them. Where it does not tell, it has said no for both.
async function anyAllowed(kinds) {
  const states = await Promise.all(
    kinds.map((name) => navigator.permissions.query({ name }).then((status) => status.state, () => 'denied')),
  );
  return states.some((state) => state !== 'denied');
}
