// While nothing is live: the last picture, grey and with its date, so that nobody takes it for a live one.

import { fetchPoster } from './poster.js';
import { pictureTime } from './words.js';

// `url`: of the server's; null: only what the page has seen itself is dated.
export function createLastPicture(url) {
  const image = document.getElementById('poster');
  const date = document.getElementById('poster-date');
  let wanted = false;
  let own = 0; // when the picture was new that the page itself still shows below
  let kept = null; // the server's: {at, address}
  let asked = 0;

  function draw() {
    const newer = kept && kept.at > own;
    const at = newer ? kept.at : own;
    image.hidden = !wanted || !newer;
    date.hidden = !wanted || !at;
    const text = at ? `Last picture, ${pictureTime(new Date(at), new Date())}` : '';
    if (date.textContent !== text) date.textContent = text;
  }

  function keep(found) {
    if (kept) URL.revokeObjectURL(kept.address);
    kept = found && { at: found.at, address: URL.createObjectURL(found.blob) };
    if (kept) image.src = kept.address;
    else image.removeAttribute('src');
    draw();
  }

  async function ask() {
    if (!url) return;
    asked += 1;
    const number = asked;
    const found = await fetchPoster(url);
    if (found && number === asked) keep(found);
  }

  return {
    // `yes`: nothing live is seen. `remains`: when the picture was new that is on the screen, ms; 0: there is none.
    show(yes, remains) {
      const begins = yes && !wanted;
      wanted = yes;
      own = remains;
      if (begins) ask();
      draw();
    },
    // The room has changed: there may be a newer one.
    renew() {
      if (wanted) ask();
    },
    // Who may not watch may not see it either.
    forget() {
      asked += 1;
      wanted = false;
      keep(null);
    },
    draw,
  };
}
