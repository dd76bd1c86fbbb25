import type { Cut } from '../streams/live-requests.ts'

/** Why a request is answered here and goes no further. */
export type Refusal = {
  readonly code: 400 | 401 | 403 | 405 | 413 | 421 | 429 | 500 | 502 | 503 | 504
  /** What a kubectl user reads: what is wrong and what to do. */
  readonly message: string
  /** Only when a repetition does no harm: clients repeat the whole request, body and all. */
  readonly retryAfterSeconds?: number
  /** The client must not use the connection for anything else. */
  readonly close?: boolean
}

const RENEW =
  'Sign in again with "postern login", or download a new kubeconfig from the Postern console.'

const UNKNOWN_TOKEN = {
  code: 401,
  message: `your token was revoked or is not known here. ${RENEW}`,
  close: true,
} as const

export const refusals = {
  leaseLost: {
    code: 503,
    message:
      'Postern cannot confirm that your access is still current: this gateway has lost touch with ' +
      'the services that keep it. Nothing was sent to the cluster. Try again in a moment.',
    retryAfterSeconds: 1,
  },
  noToken: {
    code: 401,
    message: `the request carries no bearer token. ${RENEW}`,
    close: true,
  },
  malformedToken: {
    code: 401,
    message: `the request needs exactly one Authorization header with a bearer token. ${RENEW}`,
    close: true,
  },
  unknownToken: UNKNOWN_TOKEN,
  /** It was made by somebody else, and never will be known. */
  foreignToken: { ...UNKNOWN_TOKEN },
  userDisabled: {
    code: 401,
    message: 'your user was disabled. Ask an administrator of Postern.',
    close: true,
  },
  wrongConnection: {
    code: 421,
    message: 'the TLS server name and the host name different clusters: connect anew',
    close: true,
  },
  spoolFull: {
    code: 503,
    message:
      'this request must not run unrecorded, and the gateway cannot record it: its audit records ' +
      'have not been delivered for too long. Nothing was sent to the cluster. Ask an ' +
      'administrator to look at the audit service.',
    retryAfterSeconds: 10,
  },
  sessionUnavailable: {
    code: 503,
    message:
      'no session could be opened on the cluster: the session service or the agent did not answer ' +
      'in time. Nothing was sent to the cluster.',
    retryAfterSeconds: 1,
  },
  bodyTooLarge: {
    code: 413,
    message: 'the request body is larger than 16 MiB',
    close: true,
  },
  clientGone: {
    code: 400,
    message: 'the client went away, or broke its request, before anything was sent to the cluster',
    close: true,
  },
  clientGoneUnanswered: {
    code: 400,
    message:
      'the client went away, or broke its request, before the cluster had answered: what it asked ' +
      'may have been carried out',
    close: true,
  },
  internal: {
    code: 500,
    message: 'the gateway failed. Nothing more is known here; its log says more.',
  },
} as const satisfies Record<string, Refusal>

export function tokenExpired(expiresAt: string): Refusal {
  return { code: 401, message: `your token expired at ${expiresAt}. ${RENEW}`, close: true }
}

export function malformed(problem: string): Refusal {
  return { code: 400, message: `the request is not accepted: ${problem}`, close: true }
}

export function methodNotAllowed(method: string): Refusal {
  const message = `the method ${method.slice(0, 20)} is not allowed here`
  return { code: 405, message, close: true }
}

/** The same for a cluster that is not there and one that the name alone may not disclose. */
export function noSuchCluster(name: string | undefined): Refusal {
  const message =
    name === undefined
      ? 'the address names no cluster: use the server address of your kubeconfig'
      : `there is no cluster "${name}" here that you may use: "postern cluster list" shows yours`
  return { code: 403, message }
}

export function identityHeader(name: string): Refusal {
  return {
    code: 403,
    message:
      `the header ${name} is not allowed: Postern decides who you are. ` +
      'Impersonation (kubectl --as) is not available.',
  }
}

/** What was forwarded was ended before it was answered. No Retry-After: it may have been carried out. */
export function cutShort({ code, message }: Cut): Refusal {
  return { code, message }
}

export function denied(reason: string): Refusal {
  return { code: 403, message: reason }
}

export function tooMany(what: 'user-rate' | 'user-concurrency' | 'gateway-full'): Refusal {
  switch (what) {
    case 'user-rate':
      return { code: 429, message: 'you send requests too fast', retryAfterSeconds: 1 }
    case 'user-concurrency':
      return { code: 429, message: 'you have too many requests open', retryAfterSeconds: 1 }
    case 'gateway-full':
      return {
        code: 503,
        message: 'this gateway has as much to do as it can. Nothing was sent to the cluster.',
        retryAfterSeconds: 2,
      }
  }
}

export function clusterUnreachable(clusterName: string, why: string): Refusal {
  return {
    code: 503,
    message:
      `cluster "${clusterName}" cannot be reached: ${why}. Nothing was sent to it. ` +
      'Check that the Postern agent runs there.',
    retryAfterSeconds: 1,
  }
}

export function agentRefused(why: string): Refusal {
  const message = `the cluster was not reached: ${why}. Nothing was sent to it. Try again.`
  return { code: 503, message, retryAfterSeconds: 1 }
}

export function lostAfterForwarding(clusterName: string, why: string): Refusal {
  return {
    code: 504,
    message:
      `the connection to cluster "${clusterName}" was lost after the request had been sent ` +
      `(${why}). It may have been carried out: look before you repeat it.`,
  }
}

/** The same of a request that changes nothing, whatever became of it: sending it again does no harm. */
export function lostWhileReading(clusterName: string, why: string): Refusal {
  return {
    code: 503,
    message:
      `the connection to cluster "${clusterName}" was lost before it had answered (${why}). ` +
      'The request only reads: try again.',
    retryAfterSeconds: 1,
  }
}

export function badUpstream(why: string): Refusal {
  return { code: 502, message: `the cluster's answer was not accepted: ${why}` }
}
