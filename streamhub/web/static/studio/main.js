// The studio: token, a look in the mirror, the room.

import { readConfig } from '../config.js';
import { Refused } from '../rtc/access.js';
import { keepDivided } from '../rtc/grid.js';
import { loadLivekit } from '../rtc/livekit.js';
import { createSound } from '../rtc/sound.js';
import { createCapture } from './capture.js';
import { createGate } from './gate.js';
import { createPanel } from './panel.js';
import { chosenBefore } from './pickers.js';
import { createStage } from './stage.js';
import { checkToken, forgetToken, keepToken, readTicket, takeToken, tokenIn } from './ticket.js';
import { ENDINGS, GATES, PHASES, QUALITIES, deviceWords, tokenWords } from './words.js';

const RETRY_MS = 5000;
const SOURCES = { camera: 'camera', microphone: 'microphone', screen_share: 'screen', screen_share_audio: 'screen' };

const part = (id) => document.getElementById(id);
const root = part('studio');
const config = readConfig(root, location);
let token = takeToken(config);
let ticket = null;
let listening = false; // without camera and microphone, by choice
let stage = null;
let live = false; // anything of ours is seen or heard
let speaker = chosenBefore().speaker;
let panel = null;
let capture = null;
let retry = 0;
let wake = null;

const gate = createGate({
  again: () => open(),
  listen() {
    listening = true;
    open();
  },
  other() {
    forgetToken(config);
    location.replace(location.pathname); // as if one had just come
  },
  ticket(text) {
    token = tokenIn(text) || text;
    keepToken(config, token);
    open();
  },
});
const arrange = keepDivided(part('tiles'));
const sound = createSound({
  changed() {
    part('unmute').hidden = !sound.blocked;
  },
});

async function open() {
  clearTimeout(retry);
  if (!window.isSecureContext && !listening) return block(GATES.insecure, { insecure: true, listen: true });
  if (!window.RTCPeerConnection) return block(GATES.no_webrtc);
  if (!navigator.mediaDevices && !listening) return block(GATES.no_devices, { listen: true });
  if (!token) return block(GATES.no_token, { form: true });
  ticket = readTicket(token);
  if (!ticket) return block(tokenWords('unreadable', { token }), { form: true });
  if (ticket.room !== config.room) return refuse('other_room');
  become('opening');
  try {
    await checkToken(token);
  } catch (error) {
    if (error instanceof Refused) return refuse(error.word, error.problem);
    return again(GATES.unreachable, error);
  }
  let livekit;
  try {
    livekit = await loadLivekit();
  } catch (error) {
    return again(GATES.no_client, error);
  }
  config.token = ticket.hears ? token : null; // opens the pictures of a private room's camera, too
  return enterLobby(livekit);
}

function refuse(word, problem) {
  const words = tokenWords(word, { ticket, token, app: config.app, problem });
  if (word === 'no_livekit') block(words, { again: 'Try again' });
  else block(words, { other: true });
}

function again(words, error) {
  block({ ...words, text: error.message || words.text }, { again: 'Try again' });
  retry = setTimeout(open, RETRY_MS);
}

function block(words, more) {
  become('gate');
  gate.show(words, more);
  announce(words.title);
}

async function enterLobby(livekit) {
  const kinds = listening ? [] : ['microphone', 'camera'].filter((kind) => ticket[kind]);
  if (!panel) setUp(livekit, kinds);
  become('lobby');
  part('setup-who').textContent = ticket.name ? `You join as ${ticket.name}.` : '';
  part('join').textContent = kinds.length ? 'Join' : 'Watch and listen';
  panel.offer(kinds);
  panel.refresh();
  if (kinds.length) await capture.open(kinds);
  await panel.listDevices();
}

function setUp(livekit, kinds) {
  panel = createPanel(kinds, {
    speaker(id) {
      speaker = id;
      if (stage) stage.setSpeaker(id);
    },
  });
  capture = createCapture(
    livekit,
    {
      changed: (kind) => {
        panel.update(kind);
        if (stage) stage.changed();
      },
      added: (tracks) => stage && stage.add(tracks),
      removed: (tracks) => stage && stage.remove(tracks),
      said: (kind, words) => panel.say(kind, words),
    },
    { chosen: chosenBefore(), screenSound: ticket.screenSound },
  );
  panel.use(capture);
  part('retry').addEventListener('click', async () => {
    for (const kind of panel.troubled) await capture.toggle(kind);
    await panel.listDevices();
  });
  part('join').addEventListener('click', () => join(kinds));
  part('leave').addEventListener('click', () => {
    stage.stop();
    leave('LEFT');
  });
}

function join(kinds) {
  capture.setLive(true);
  become('live');
  const screen = !listening && ticket.screen && Boolean(navigator.mediaDevices.getDisplayMedia);
  panel.offer([...kinds, ...(screen ? ['screen'] : [])]);
  stage = createStage({
    config,
    token,
    capture,
    container: part('tiles'),
    arrange,
    sound,
    speaker,
    on: {
      quality: tellQuality,
      changed(now) {
        live = now.live;
        part('alone').hidden = now.others > 0 || now.phase !== 'connected';
        tellPhase(now.phase);
      },
      closed: leave,
      failed(source, error) {
        const kind = SOURCES[source] || 'camera';
        panel.say(kind, error ? deviceWords(kind, error) : '');
      },
    },
  });
  stage.start();
  panel.refresh();
  stayAwake();
}

async function leave(word, problem) {
  stage = null;
  live = false;
  part('setup').removeAttribute('data-open');
  part('devices').setAttribute('aria-expanded', 'false');
  tellQuality('');
  if (wake) wake.release().catch(() => {});
  wake = null;
  if (ENDINGS[word]) block(ENDINGS[word], { again: 'Join again' });
  else refuse(word, problem);
  await capture.setLive(false);
}

function become(phase) {
  root.dataset.phase = phase;
  part('gate').hidden = phase !== 'gate';
  part('badge').hidden = phase !== 'live';
  part('leave').hidden = phase !== 'live';
  part('devices').hidden = phase !== 'live' || !panel.hasLists;
}

function tellPhase(phase) {
  if (phase === 'off') return;
  const [look, word] = phase === 'connected' && !live ? PHASES.watching : PHASES[phase] || PHASES.connecting;
  part('badge').dataset.look = look;
  if (part('badge-word').textContent === word) return;
  part('badge-word').textContent = word;
  announce(word);
}

function tellQuality(word) {
  part('line').hidden = !QUALITIES[word];
  part('line').dataset.line = word;
  part('line-word').textContent = QUALITIES[word] || '';
}

function announce(words) {
  part('announce').textContent = words;
}

// A phone that goes to sleep stops its camera.
async function stayAwake() {
  if (!stage || !navigator.wakeLock || document.visibilityState !== 'visible') return;
  wake = await navigator.wakeLock.request('screen').catch(() => null);
}

part('unmute').addEventListener('click', () => sound.setMuted(false));
document.addEventListener('visibilitychange', stayAwake);
window.addEventListener('online', () => stage && stage.hurry());
window.addEventListener('beforeunload', (event) => {
  if (live) event.preventDefault();
});
window.addEventListener('pagehide', () => stage && stage.stop());
window.addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});
// Another link for the same room, opened in this tab.
window.addEventListener('hashchange', () => {
  if (tokenIn(location.hash.slice(1))) location.reload();
});

open();
