import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'
import { StreamHubError } from '../src/errors.js'
import { accessOf, askPlayToken, httpOrigin, mintToken, mintUrl, wsOrigin } from '../src/server.js'
import { answering, pageAt } from './world.js'

beforeEach(() => pageAt('https://site.example/page'))

test('any spelling of a server gives its origin', () => {
  assert.equal(httpOrigin('https://hub.example:8443/'), 'https://hub.example:8443')
  assert.equal(httpOrigin('wss://hub.example/live/websocket'), 'https://hub.example')
  assert.equal(httpOrigin('ws://127.0.0.1:3020'), 'http://127.0.0.1:3020')
  assert.equal(httpOrigin('hub.example'), 'https://hub.example')
  assert.equal(httpOrigin(), 'https://site.example')
  assert.equal(wsOrigin('http://127.0.0.1:3020'), 'ws://127.0.0.1:3020')
  assert.throws(() => httpOrigin('https://'), (error: StreamHubError) => error.code === 'bad_server')
})

test('token route: the API may lie below a path', () => {
  assert.equal(mintUrl('wss://hub.example', 'live'), 'https://hub.example/api/v1/apps/live/tokens')
  assert.equal(mintUrl(undefined, 'a b', 'https://hub.example'), 'https://site.example/api/v1/apps/a%20b/tokens')
  assert.equal(mintUrl(undefined, 'live', 'https://x.example/hub/api/v1/'), 'https://x.example/hub/api/v1/apps/live/tokens')
})

test('a backend may answer in any usual form', () => {
  const whole = { token: 't', wsUrl: 'wss://m.example' }
  assert.deepEqual(accessOf({ data: whole }), whole)
  assert.deepEqual(accessOf(whole), whole)
  assert.deepEqual(accessOf('t', 'http://hub.example'), { token: 't', wsUrl: 'ws://hub.example' })
  assert.deepEqual(accessOf({ token: 't', wsUrl: '' }, 'http://hub.example'), { token: 't', wsUrl: 'ws://hub.example' })
  for (const nothing of [null, {}, { token: '' }, { data: null }, 7]) {
    assert.throws(() => accessOf(nothing), (error: StreamHubError) => error.code === 'no_token')
  }
})

test('play-token carries the token of a private room', async () => {
  const asked = answering(() => ({ body: { data: { token: 't', wsUrl: 'wss://m' } } }))
  const place = { server: 'https://hub.example', app: 'live', room: 'a/b' }
  assert.deepEqual(await askPlayToken(place, 'x y'), { token: 't', wsUrl: 'wss://m' })
  assert.equal(asked[0]?.url, 'https://hub.example/api/v1/apps/live/play-token/a%2Fb?token=x+y')
})

test("the server's words become the error", async () => {
  answering(() => ({ status: 401, body: { code: 'token_unknown', message: 'no such token', hint: 'Make one.' } }))
  await assert.rejects(mintToken('https://hub.example/t', 'abc', {}), (error: StreamHubError) => {
    assert.deepEqual([error.code, error.status, error.hint], ['token_unknown', 401, 'Make one.'])
    assert.equal(error.message, 'no such token (Make one.)')
    return true
  })
})

test('no answer from another origin hints at its settings', async () => {
  globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch'))
  await assert.rejects(mintToken('https://hub.example/t', null, {}), /cors_origins/)
  await assert.rejects(mintToken('https://site.example/t', null, {}), (error: Error) => !/cors_origins/.test(error.message))
})

test('an API token in a page is warned about once', async () => {
  answering(() => ({ body: { token: 't' } }))
  const warned = mock.method(console, 'warn', () => {})
  await mintToken('https://site.example/t', 'own-session', {})
  assert.equal(warned.mock.callCount(), 0)
  await mintToken('https://hub.example/t', 'sk_secret', {})
  await mintToken('https://hub.example/t', 'sk_secret', {})
  assert.equal(warned.mock.callCount(), 1)
  const [words] = warned.mock.calls[0]?.arguments as [string]
  assert.match(words, /own server/)
  assert.doesNotMatch(words, /sk_secret/)
})
