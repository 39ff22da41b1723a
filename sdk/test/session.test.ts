import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { deviceError } from '../src/errors.js'
import { Emitter } from '../src/events.js'
import { fromBytes, toBytes } from '../src/session.js'

test('data: text and bytes come out as they went in, objects as JSON', () => {
  assert.equal(fromBytes(toBytes('grüß dich')), 'grüß dich')
  assert.equal(fromBytes(toBytes({ a: [1] })), '{"a":[1]}')
  const bytes = new Uint8Array([0xff, 0xfe, 0x00])
  assert.deepEqual(fromBytes(toBytes(bytes)), bytes)
  assert.deepEqual(fromBytes(toBytes(bytes.buffer)), bytes)
  assert.deepEqual(toBytes(new Uint8Array([1, 2, 3, 4]).subarray(1, 3)), new Uint8Array([2, 3]))
})

class Bell extends Emitter<{ ring: [times: number] }> {
  ring(times: number): void {
    this.emit('ring', times)
  }
}

test('events: on, once, off; a failing listener harms nobody', () => {
  const reported = mock.fn()
  globalThis.reportError = reported
  const bell = new Bell()
  const heard: string[] = []
  bell.once('ring', () => heard.push('once'))
  bell.on('ring', () => {
    throw new Error('mine')
  })
  const end = bell.on('ring', times => heard.push(`on ${times}`))
  bell.ring(1)
  end()
  bell.ring(2)
  assert.deepEqual(heard, ['once', 'on 1'])
  assert.equal(reported.mock.callCount(), 2)
})

test('devices: the browser’s refusals get a code and a hint', () => {
  const refused = deviceError(Object.assign(new Error('Permission denied'), { name: 'NotAllowedError' }))
  assert.equal(refused.code, 'device_refused')
  assert.match(refused.message, /Allow camera/)
  assert.equal(deviceError(refused), refused)
  assert.equal(deviceError(new Error('odd')).code, 'device_failed')
})
