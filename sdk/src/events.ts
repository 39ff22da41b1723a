/** Typed events: `Events` maps each name to the arguments of its listeners. */
export class Emitter<Events extends { [K in keyof Events]: unknown[] }> {
  readonly #listeners = new Map<keyof Events, Set<(...args: never) => void>>()

  /** Calls `listener` at each event; returns what ends that. */
  on<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): () => void {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all)
    all.add(listener)
    return () => this.off(name, listener)
  }

  /** Calls `listener` at the next event only. */
  once<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): () => void {
    const end = this.on(name, (...args: Events[K]) => {
      end()
      listener(...args)
    })
    return end
  }

  off<K extends keyof Events>(name: K, listener: (...args: Events[K]) => void): void {
    this.#listeners.get(name)?.delete(listener)
  }

  protected emit<K extends keyof Events>(name: K, ...args: Events[K]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as unknown as (...args: Events[K]) => void)(...args)
      } catch (error) {
        // A listener's mistake is the page's: told where the page's errors are told, and nobody else suffers.
        reportError(error)
      }
    }
  }
}
