// A camera of the room that sends JPEGs, as one more tile: it comes and goes by the server's word.

import { socketUrl } from '../config.js';
import { createLink } from '../link.js';
import { createPainter } from '../painter.js';

// `on.changed()`: the tile has come or gone.
export function watchPictures(config, container, on) {
  const element = document.createElement('figure');
  element.className = 'tile';
  element.dataset.kind = 'camera';
  element.dataset.seen = '';
  const canvas = document.createElement('canvas');
  canvas.className = 'camera';
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `Picture of the camera in ${config.name}`);
  const caption = document.createElement('figcaption');
  caption.className = 'tile-name';
  caption.innerHTML = '<span>Camera</span><em>no picture</em>';
  element.append(canvas, caption);
  const painter = createPainter(canvas, () => {});
  let shown = false;
  let state = null;

  function become(next) {
    state = next;
    const present = state === 'live' || state === 'stale';
    if (!present) painter.forget();
    element.toggleAttribute('data-quiet', state === 'stale');
    if (present === shown) return;
    shown = present;
    if (shown) container.append(element);
    else element.remove();
    on.changed();
  }

  const gone = () => become(null);
  const link = createLink(socketUrl(config), {
    open() {},
    state: ({ camera }) => become(camera && camera.state),
    frame(blob) {
      if (shown) painter.push(blob);
    },
    down: gone,
    refused: gone,
    blocked() {},
  });
  link.start();
  return {
    stop() {
      link.stop();
      gone();
    },
  };
}
