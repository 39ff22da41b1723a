// Shows the state in words: badge, notice over the picture, since when, and one spoken line per change.

import { STATES, ago, clockTime } from './words.js';

export function createStatus(player, onRetry) {
  const part = (id) => document.getElementById(id);
  let shown = STATES.opening;
  let since = null;
  let seen = false; // has the canvas ever had a picture

  part('retry').addEventListener('click', onRetry);

  function setText(id, text) {
    const element = part(id);
    if (element && element.textContent !== text) element.textContent = text;
  }

  function tellTime() {
    const now = new Date();
    const at = since ? clockTime(since, now) : '';
    setText('since', at ? `since ${at}` : '');
    setText('notice-since', at ? `since ${at} · ${ago(since, now)}` : '');
    const never = shown === STATES.offline && !since;
    setText('notice-hint', never ? 'It has not sent a picture yet.' : shown.hint || '');
  }

  function show(state, when = null) {
    const changed = state.badge !== shown.badge || state.title !== shown.title;
    shown = state;
    since = when;
    player.dataset.look = state.look;
    part('badge').dataset.look = state.look;
    setText('badge-word', state.badge);
    setText('notice-title', state.title || '');
    part('overlay').hidden = !state.title;
    part('retry').hidden = !state.retry;
    tellTime();
    if (changed) setText('announce', part('notice-title').textContent || state.badge);
  }

  return {
    show,
    tellTime,
    pictured() {
      if (!seen) player.dataset.seen = '1';
      seen = true;
    },
  };
}
