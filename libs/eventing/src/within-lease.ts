import { LEASE_MS } from './lease-state.ts'

/** One connection that hangs must not hold up those who ask later. */
export async function withinLease<Value>(reading: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    const message = 'PostgreSQL did not answer within the time of a lease'
    timer = setTimeout(() => reject(new Error(message)), LEASE_MS)
  })
  try {
    return await Promise.race([reading, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
