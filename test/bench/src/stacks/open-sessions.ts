import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { setTimeout } from 'node:timers/promises'

const PATH = '/api/v1/namespaces/bench/pods/small'
const WITHIN_MS = 60_000
const ANSWER_MS_MAX = 30_000
const AGAIN_MS = 250

/**
 * One request of each user, until it is answered: the first makes his account in the cluster, which is
 * not what a benchmark of requests measures.
 */
export async function openSessions(order: {
  address: string
  prefix: string
  caFile: string
  tokens: readonly string[]
}): Promise<void> {
  const { address, prefix, caFile, tokens } = order
  const ca = readFileSync(caFile)
  const url = `https://${address}${prefix}${PATH}`
  for (const token of tokens) {
    const deadline = Date.now() + WITHIN_MS
    for (;;) {
      const { status, text } = await ask(url, ca, token)
      if (status === 200) break
      if (Date.now() > deadline) throw new Error(`the gateway answers ${status}: ${text}`)
      await setTimeout(AGAIN_MS)
    }
  }
}

function ask(url: string, ca: Buffer, token: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    const signal = AbortSignal.timeout(ANSWER_MS_MAX)
    const sent = request(url, { ca, headers, agent: false, signal }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString().slice(0, 500)
        resolve({ status: response.statusCode ?? 0, text })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}
