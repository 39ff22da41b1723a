// The script for a <script> tag: `webrtc_adaptor.play(…)`, `new webrtc_adaptor.WebRTCAdaptor(…)`. Without `server` it
// means the one it was loaded from.
import { setLogLevel } from 'livekit-client'
import { setDefaultServer } from './server.js'

setLogLevel('warn')

const { currentScript } = document
if (currentScript instanceof HTMLScriptElement && currentScript.src) setDefaultServer(new URL(currentScript.src).origin)

export * from './index.js'
export { StreamHubAdaptor as default } from './adaptor/adaptor.js'
