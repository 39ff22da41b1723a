import { addControls } from './controls.js';
import { startPlayer } from './player.js';
import { addSharing } from './share.js';

const player = startPlayer();
addControls(player);
addSharing();

const shown = document.getElementById('fps');
const save = document.getElementById('snapshot');
setInterval(() => {
  const fps = player.tick();
  shown.textContent = fps ? `${fps.toFixed(fps < 9.95 ? 1 : 0)} fps` : '';
  save.disabled = !player.picture();
}, 1000);
