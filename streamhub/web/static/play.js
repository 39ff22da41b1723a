import { addControls, addUnmute } from './controls.js';
import { startPlayer } from './player.js';
import { addSharing } from './share.js';

const player = startPlayer();
addControls(player);
addUnmute(player);
addSharing();

const save = document.getElementById('snapshot');
player.listen(() => {
  save.disabled = !player.pictures().length;
});

const shown = document.getElementById('fps');
setInterval(() => {
  const fps = player.tick();
  shown.textContent = fps ? `${fps.toFixed(fps < 9.95 ? 1 : 0)} fps` : '';
}, 1000);
