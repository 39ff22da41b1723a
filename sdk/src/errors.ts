/** What went wrong. `code` is stable: the server's own, or one of this library's; `hint` says what to do. */
export class StreamHubError extends Error {
  override readonly name = 'StreamHubError'
  readonly code: string
  readonly hint: string
  /** The HTTP status, if a server answered. */
  readonly status: number | null

  constructor(code: string, message: string, { hint = '', status = null as number | null, cause = undefined as unknown } = {}) {
    super(hint ? `${message} (${hint})` : message, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.status = status
  }
}

const DEVICE_ERRORS: Record<string, [code: string, message: string, hint: string]> = {
  NotAllowedError: ['device_refused', 'the browser may not use it', 'Allow camera and microphone for this page.'],
  NotFoundError: ['device_missing', 'there is no such device', 'Connect one, or ask for less.'],
  NotReadableError: ['device_busy', 'the device cannot be opened', 'Close the program that uses it.'],
  OverconstrainedError: ['device_unfit', 'no device can do that', 'Loosen the constraints.'],
}

/** A failure of getUserMedia or getDisplayMedia in our words. */
export function deviceError(error: unknown): StreamHubError {
  if (error instanceof StreamHubError) return error
  const { name, message } = error as Error
  const [code, words, hint] = DEVICE_ERRORS[name] ?? ['device_failed', message || 'the device failed', 'Try again.']
  return new StreamHubError(code, words, { hint, cause: error })
}

/** Any failure as one of ours. */
export function asError(error: unknown, code = 'failed'): StreamHubError {
  if (error instanceof StreamHubError) return error
  return new StreamHubError(code, error instanceof Error ? error.message : String(error), { cause: error })
}
