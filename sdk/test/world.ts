/// <reference types="node" />
// What tests of modules for the browser need under Node: a page's address, answers instead of a network, and a console.

export interface Asked {
  method: string
  url: string
  headers: Record<string, string>
  body: Record<string, unknown> | null
}

/** Answers every request with `answer(asked)`; returns what was asked. */
export function answering(answer: (asked: Asked) => { status?: number; body: unknown }): Asked[] {
  const all: Asked[] = []
  globalThis.fetch = async (url, { method = 'GET', headers = {}, body = null } = {}) => {
    const asked: Asked = {
      method,
      url: String(url),
      headers: headers as Record<string, string>,
      body: body ? (JSON.parse(body as string) as Record<string, unknown>) : null,
    }
    all.push(asked)
    const { status = 200, body: said } = answer(asked)
    return new Response(JSON.stringify(said), { status })
  }
  return all
}

export function pageAt(address: string): void {
  Object.defineProperty(globalThis, 'location', { value: new URL(address), configurable: true })
}
