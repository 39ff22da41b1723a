import { addControls, addUnmute } from './controls.js';
import { startPlayer } from './player.js';

const player = startPlayer();
if (document.getElementById('bar')) addControls(player);
addUnmute(player);
setInterval(() => player.tick(), 1000);
