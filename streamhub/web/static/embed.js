import { addControls } from './controls.js';
import { startPlayer } from './player.js';

const player = startPlayer();
if (document.getElementById('bar')) addControls(player);
setInterval(() => player.tick(), 1000);
