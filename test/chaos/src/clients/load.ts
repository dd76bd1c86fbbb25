import { setTimeout as wait } from 'node:timers/promises'
import type { Client, Order } from './client.ts'
import { ask, type Outcome } from './repeat-as-client-go.ts'

/** A request of a load, as its client saw it. */
export type Asked = Outcome & {
  readonly by: string
  readonly sentAt: number
  readonly ms: number
}

/** Somebody who asks again and again, the next time when the answer is there and the pause is over. */
export type Asker = {
  readonly name: string
  readonly client: Client
  readonly order: (n: number) => Order
  readonly pauseMs: number
}

export type Load = {
  /** What was answered so far. */
  readonly asked: readonly Asked[]
  /** Resolves when the last answers are there. */
  stop(): Promise<readonly Asked[]>
}

export function startLoad(askers: readonly Asker[]): Load {
  const asked: Asked[] = []
  let isStopping = false
  const run = async ({ name, client, order, pauseMs }: Asker) => {
    for (let n = 0; !isStopping; n += 1) {
      const sentAt = performance.now()
      const outcome = await ask(client, order(n))
      asked.push({ ...outcome, by: name, sentAt, ms: performance.now() - sentAt })
      await wait(pauseMs)
    }
    client.close()
  }
  const running = Promise.all(askers.map(run))
  running.catch(() => {})
  return {
    asked,
    async stop() {
      isStopping = true
      await running
      return asked
    },
  }
}

/** Those that a user would have seen fail. */
export function failedOf(asked: readonly Asked[]): readonly Asked[] {
  return asked.filter(({ status }) => typeof status === 'string' || status >= 300)
}
