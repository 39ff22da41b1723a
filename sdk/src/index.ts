export { StreamHubAdaptor, StreamHubAdaptor as default, StreamHubAdaptor as WebRTCAdaptor } from './adaptor/adaptor.js'
export type {
  AntMediaCallback,
  AntMediaErrorCallback,
  StreamHubAdaptorConfig,
  StreamHubTokenResponse,
} from './adaptor/options.js'
export { listDevices, type StreamHubMediaConstraints, watchDevices } from './capture.js'
export { StreamHubError } from './errors.js'
export { play, type PlayEvents, Player, type PlayOptions, type PlaySource, type PlayState } from './player/player.js'
export { publish, Publisher, type PublishOptions } from './publisher.js'
export type { Access, Place, TokenAnswer } from './server.js'
export type { DataMessage, RemoteMedia, SessionEvents, SessionState } from './session.js'
