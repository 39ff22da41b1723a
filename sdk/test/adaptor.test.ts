import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'
import Adaptor, { WebRTCAdaptor } from '../src/index.js'
import { accessFor, type StreamHubAdaptorConfig, whereOf } from '../src/adaptor/options.js'
import { sumUp } from '../src/adaptor/stats.js'
import { answering, pageAt } from './world.js'

const JWT = 'aaa.bbb.ccc'
const WATCH = { room: 'r', identity: 'me', canPublish: false }
const PUBLISH = { room: 'r', identity: 'me', canPublish: true }

beforeEach(() => {
  pageAt('https://site.example/page')
  mock.method(console, 'warn', () => {})
})

test('websocket_url: the app of an AntMedia address, or a bare LiveKit address', () => {
  assert.deepEqual(whereOf({ websocket_url: 'wss://hub.example:5443/My%20App/websocket' }), {
    app: 'My App',
    server: 'wss://hub.example:5443/My%20App/websocket',
    wsUrl: null,
  })
  assert.deepEqual(whereOf({ websocket_url: 'wss://media.example', appName: 'live' }), {
    app: 'live',
    server: 'wss://media.example',
    wsUrl: 'wss://media.example',
  })
  assert.equal(whereOf({ websocket_url: 'wss://h/live/websocket', wsUrl: 'wss://other' }).wsUrl, 'wss://other')
  assert.equal(whereOf({}).app, null)
})

const url = { websocket_url: 'wss://hub.example/live/websocket' }
const CASES: [string, StreamHubAdaptorConfig, object, string, boolean][] = [
  ['explicit route', { ...url, streamhubTokenUrl: '/my/token' }, PUBLISH, 'https://site.example/my/token', true],
  ['api and app', { ...url, streamhubApiUrl: 'https://api.example/api/v1', appName: 'x' }, PUBLISH, 'https://api.example/api/v1/apps/x/tokens', true],
  ['derived', url, PUBLISH, 'https://hub.example/api/v1/apps/live/tokens', true],
  ['watching needs no API token', url, WATCH, 'https://hub.example/api/v1/apps/live/play-token/r', false],
  ['watching with one', { ...url, streamhubApiToken: 'sk_x' }, WATCH, 'https://hub.example/api/v1/apps/live/tokens', true],
]
for (const [name, config, need, expected, minted] of CASES) {
  test(`token: ${name}`, async () => {
    const asked = answering(() => ({ body: { data: { token: JWT, wsUrl: 'wss://media.example' } } }))
    const access = await accessFor({ ...config, tokenRequest: { ttl: '1h', room: 'not this' } }, need as typeof WATCH)
    assert.deepEqual(access, { token: JWT, wsUrl: 'wss://media.example' })
    assert.equal(new URL(asked[0]!.url, location.href).href, expected)
    assert.equal(asked[0]!.method, minted ? 'POST' : 'GET')
    if (minted) assert.deepEqual(asked[0]!.body, { ttl: '1h', ...need, canSubscribe: true })
  })
}

test('token: a ready one asks nobody, and the one of the call goes before', async () => {
  const asked = answering(() => ({ body: {} }))
  const config = { ...url, token: 'x.y.z', wsUrl: 'wss://media.example' }
  assert.deepEqual(await accessFor(config, PUBLISH), { token: 'x.y.z', wsUrl: 'wss://media.example' })
  assert.equal((await accessFor(config, { ...PUBLISH, token: JWT })).token, JWT)
  assert.equal((await accessFor(config, { ...PUBLISH, token: 'antmedia-token' })).token, 'x.y.z')
  assert.deepEqual(await accessFor({ token: JWT, websocket_url: 'ws://h:7880' }, WATCH), { token: JWT, wsUrl: 'ws://h:7880' })
  assert.equal(asked.length, 0)
})

test('token: without any way to one it says what to set', async () => {
  await assert.rejects(accessFor({ wsUrl: 'wss://media.example' }, PUBLISH), /streamhubTokenUrl/)
})

test('adaptor: initialized comes after construction, calls of AntMedia exist, failures reach callbackError', async () => {
  const told: string[] = []
  const failed: unknown[][] = []
  const adaptor = new Adaptor({ callback: info => told.push(info), callback_error: (...given) => failed.push(given), playOnly: true })
  assert.deepEqual(told, [])
  await Promise.resolve()
  assert.deepEqual(told, ['initialized'])
  assert.equal(WebRTCAdaptor, Adaptor)
  assert.deepEqual(Adaptor.pluginInitMethods, [])
  const calls =
    'joinRoom publish play leaveFromRoom stop sendData turnOffLocalCamera turnOnLocalCamera muteLocalMic unmuteLocalMic ' +
    'switchVideoCameraCapture switchAudioInputSource switchDesktopCapture stopDesktopCapture enableStats disableStats getRoomInfo ' +
    'getDebugInfo closeWebSocket applyConstraints iceConnectionState assignVideoTrack enableAudioLevelForLocalStream ' +
    'setMaxVideoTrackCount updateAudioLevel enableEffect setBackgroundImage'
  for (const call of calls.split(' ')) assert.equal(typeof adaptor[call as keyof Adaptor], 'function', call)
  assert.deepEqual(
    [adaptor.mediaConstraints, adaptor.mediaManager.bandwidth, adaptor.isPlayMode, adaptor.localVideoElement],
    [{ video: true, audio: true }, 900, true, null],
  )
  await adaptor.publish('s1')
  await adaptor.sendData('s1', 'x')
  await adaptor.switchDesktopCapture('s1')
  assert.deepEqual(failed.map(([error]) => error), ['publishError', 'playError', 'screenShareError'])
  assert.equal(adaptor.iceConnectionState('s1'), 'new')
  adaptor.getDebugInfo()
  adaptor.closeWebSocket()
  assert.deepEqual(told.slice(1), ['debugInfo', 'closed'])
})

test('statistics: layers are summed up, the worst delay counts', () => {
  const stats = sumUp('s1', [
    { type: 'outbound-rtp', kind: 'video', packetsSent: 10, bytesSent: 1000 },
    { type: 'outbound-rtp', kind: 'video', packetsSent: 5, bytesSent: 500 },
    { type: 'outbound-rtp', kind: 'audio', packetsSent: 3, bytesSent: 90 },
    { type: 'remote-inbound-rtp', kind: 'video', roundTripTime: 0.1, jitter: 0.01, packetsLost: 2 },
    { type: 'remote-inbound-rtp', kind: 'video', roundTripTime: 0.3, jitter: 0.02, packetsLost: 1 },
    { type: 'codec' },
  ])
  assert.deepEqual(
    [stats.totalVideoPacketsSent, stats.totalAudioPacketsSent, stats.totalPacketsSent, stats.totalBytesSent],
    [15, 3, 18, 1590],
  )
  assert.deepEqual([stats.videoRoundTripTime, stats.videoJitter, stats.videoPacketsLost], [0.3, 0.02, 3])
})
