import fc from 'fast-check'
import type { HeaderList } from '../raw-http2.ts'

/** A request that tries to be somebody else, as it is sent. */
export type ForgedRequest =
  | { readonly over: 'h1'; readonly shape: string; readonly bytes: string }
  | {
      readonly over: 'h2'
      readonly shape: string
      readonly headers: HeaderList
      readonly body?: Buffer
      readonly trailers?: HeaderList
    }

/** What stands in every request, so that it can be told from all others. */
type Stamp = { readonly number: number; readonly token: string; readonly host: string }

/** No request that must not be carried out may leave this in what arrives. */
export const SMUGGLED = 'smuggled'
const SMUGGLED_PATH = `/api/v1/namespaces/${SMUGGLED}/secrets`

const oneOf = (...lists: readonly (readonly string[])[]) => fc.constantFrom(...lists.flat())

const prefix = oneOf(
  ['Impersonate-', 'impersonate-', 'IMPERSONATE-', 'Impersonate_', 'iMpErSoNaTe-', 'impersonate_'],
  ['X-Remote-', 'x-remote-', 'X_Remote_', 'X-Remote_', 'x_remote-', 'X-REMOTE-'],
)
const suffix = oneOf([
  'User',
  'user',
  'Group',
  'group',
  'Uid',
  'uid',
  'Extra-scopes',
  'extra-a%2fb',
  'Extra_x',
  'USER',
])
const identityName = fc.tuple(prefix, suffix).map((parts) => parts.join(''))
/** Further names by which one hop tells another who is asking. */
const otherName = oneOf(
  ['X-Forwarded-User', 'X-Forwarded-Client-Cert', 'X-Auth-Request-User', 'Remote-User', 'X-User'],
  ['Authorization', 'Proxy-Authorization', 'Cookie', 'Audit-ID', 'Traceparent', 'Host'],
  ['Postern-User-Token', 'Postern-Agent-Error', 'X-Postern-User', 'Postern-Session', 'X-Ssl-Cert'],
)
const value = oneOf(
  ['system:masters', 'root', 'system:admin', 'a, b', '', 'system:serviceaccount:postern-jit:x'],
  ['Bearer of-the-agent-itself', 'Bearer account:ptr-root:00000000', 'Basic cm9vdDpyb290', '*'],
)
const header = fc.tuple(fc.oneof({ weight: 3, arbitrary: identityName }, otherName), value)
const headers = fc.array(header, { minLength: 1, maxLength: 4 })
const place = fc.constantFrom('before', 'after')

const target = ({ number }: Stamp, path = '/api/v1/namespaces/team/pods') => `${path}?n=${number}`
const line = ([name, text]: readonly [string, string]) => `${name}: ${text}`

function head(stamp: Stamp, first: string, lines: readonly string[], authorized = true): string {
  const auth = authorized ? [`Authorization: Bearer ${stamp.token}`] : []
  return `${[first, `Host: ${stamp.host}`, ...auth, ...lines].join('\r\n')}\r\n\r\n`
}

type Shape = fc.Arbitrary<(stamp: Stamp) => ForgedRequest>

const h1 =
  (shape: string, bytesOf: (stamp: Stamp) => string) =>
  (stamp: Stamp): ForgedRequest => ({
    over: 'h1',
    shape,
    bytes: bytesOf(stamp),
  })

/** Identity headers in a plain request, said once or more often, named by Connection or not. */
const plain: Shape = fc
  .record({ headers, place, named: fc.boolean(), doubled: fc.boolean(), authorized: fc.boolean() })
  .map(({ headers: list, place: where, named, doubled, authorized }) =>
    h1('plain', (stamp) => {
      const forged = [...list, ...(doubled ? list : [])].map(line)
      const connection = `Connection: ${['close', ...(named ? list.map(([name]) => name) : [])].join(', ')}`
      const lines = where === 'before' ? [...forged, connection] : [connection, ...forged]
      return head(stamp, `GET ${target(stamp)} HTTP/1.1`, lines, authorized)
    }),
  )

/** Connection names the headers that carry the true identity, so that a hop would drop them. */
const unnamed: Shape = fc
  .constantFrom(
    'Authorization',
    'authorization, audit-id',
    'Host',
    'Authorization, Impersonate-User',
    'X-Forwarded-For, Traceparent',
    'Content-Length',
    'Transfer-Encoding',
    'keep-alive, Authorization',
  )
  .map((names) =>
    h1('connection', (stamp) =>
      head(stamp, `GET ${target(stamp)} HTTP/1.1`, [`Connection: close, ${names}`]),
    ),
  )

const upgraded: Shape = fc
  .record({
    list: headers,
    protocol: fc.constantFrom('websocket', 'SPDY/3.1', 'h2c', 'foo'),
    named: fc.boolean(),
  })
  .map(({ list, protocol, named }) =>
    h1('upgrade', (stamp) => {
      const path = target(stamp, '/api/v1/namespaces/team/pods/box/exec')
      const method = protocol === 'SPDY/3.1' ? 'POST' : 'GET'
      const names = named ? list.map(([name]) => name) : []
      const lines = [
        `Connection: ${['Upgrade', ...names].join(', ')}`,
        `Upgrade: ${protocol}`,
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        'Sec-WebSocket-Protocol: v5.channel.k8s.io',
        ...list.map(line),
      ]
      return head(stamp, `${method} ${path}&command=id HTTP/1.1`, lines)
    }),
  )

/** Two ways to read where one request ends: behind it stands one that nobody authorized. */
const FRAMINGS = [
  'Content-Length: 4\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 4',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: chunked, identity',
  'X: x\r\n Transfer-Encoding: chunked',
  'Transfer-Encoding\r\n : chunked',
  'Content-Length: 0\r\nContent-Length: 44',
  'Content-Length: 0, 44',
  'Content-Length: 0x0',
  'Content-Length: -1',
  'Content-Length: 00',
  'Content-Length:\u000b0',
  'Content-Length: 0\r\nTransfer-Encoding: chunked',
  'Transfer_Encoding: chunked\r\nContent-Length: 0',
  'Expect: 100-continue\r\nContent-Length: 0',
]
const smuggled: Shape = fc
  .record({
    framing: fc.constantFrom(...FRAMINGS),
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    body: fc.constantFrom(
      '',
      '0\r\n\r\n',
      '0\n\n',
      '1\r\nZ\r\n0\r\n\r\n',
      '5;x\r\nhello\r\n0\r\n\r\n',
    ),
    by: fc.constantFrom(
      'Impersonate-User: root',
      'Authorization: Bearer of-the-agent-itself',
      'X-Remote-User: root\r\nX-Remote-Group: system:masters',
      'X-A: 1',
    ),
  })
  .map(({ framing, method, body, by }) =>
    h1('smuggled', (stamp) => {
      const first = head(stamp, `${method} ${target(stamp)} HTTP/1.1`, [framing])
      const second = `GET ${target(stamp, SMUGGLED_PATH)} HTTP/1.1\r\nHost: ${stamp.host}\r\n${by}\r\nConnection: close\r\n\r\n`
      return first + body + second
    }),
  )

/** Bytes inside a head that end a line for one reader and not for another. */
const malformed: Shape = fc
  .record({
    name: identityName,
    how: oneOf(
      ['X-A: 1\r\n NAME: root', 'X-A: 1\nNAME: root', 'X-A: 1\rNAME: root', 'NAME : root'],
      [
        'X-A: 1\u0000NAME: root',
        '\u0000NAME: root',
        'NAME\u0000: root',
        ' NAME: root',
        'NAME\t: root',
      ],
      [
        'X-A: 1\r\n\tNAME: root',
        'NAME:root\u0000',
        '\u00a0NAME: root',
        'N\u0000AME: root',
        ':NAME: root',
      ],
      ['X-A: \u0085NAME: root', 'NAME', '"NAME": root', 'X-A\r\nNAME: root', 'NAME;: root'],
    ),
  })
  .map(({ name, how }) =>
    h1('malformed', (stamp) =>
      head(stamp, `GET ${target(stamp)} HTTP/1.1`, [
        how.replaceAll('NAME', name),
        'Connection: close',
      ]),
    ),
  )

/** The request line says who, or where to. */
const requestLine: Shape = fc
  .record({
    form: oneOf(
      [
        'GET https://root@HOST/PATH HTTP/1.1',
        'GET http://HOST/PATH HTTP/1.1',
        'GET //HOST/PATH HTTP/1.1',
      ],
      ['GET /PATH HTTP/1.1 HTTP/1.1', 'GET /PATH', 'GET /PATH HTTP/1.0', 'GET /PATH HTTP/2.0'],
      [
        'GET\t/PATH\tHTTP/1.1',
        'CONNECT HOST:443 HTTP/1.1',

        'get /PATH HTTP/1.1',
      ],
      [
        'GET /PATH#x HTTP/1.1',
        'GET \\PATH HTTP/1.1',
        'GET *PATH HTTP/1.1',
        'GET /PATH\u0000 HTTP/1.1',
      ],
      [
        'GET /PATH HTTP/1.1\u0000',
        'GET /%2fPATH HTTP/1.1',
        'GET /./PATH HTTP/1.1',
        'GET PATH HTTP/1.1',
      ],
      ['GET /PATH HTTP/1.1\r', 'GET /PATH http/1.1', ' GET /PATH HTTP/1.1', 'GET /PATH HTTP/1.1;x'],
    ),
    forged: fc.option(header),
  })
  .map(({ form, forged }) =>
    h1('request line', (stamp) => {
      const path = target(stamp, SMUGGLED_PATH).slice(1)
      const first = form.replace('HOST', stamp.host).replace('PATH', path)
      return head(stamp, first, [...(forged === null ? [] : [line(forged)]), 'Connection: close'])
    }),
  )

const trailers: Shape = fc
  .record({ list: headers, announced: fc.boolean() })
  .map(({ list, announced }) =>
    h1('trailers', (stamp) => {
      const names = list.map(([name]) => name).join(', ')
      const lines = [
        'Transfer-Encoding: chunked',
        'Connection: close',
        ...(announced ? [`Trailer: ${names}`] : []),
      ]
      const body = `2\r\n{}\r\n0\r\n${list.map(line).join('\r\n')}\r\n\r\n`
      return head(stamp, `POST ${target(stamp)} HTTP/1.1`, lines) + body
    }),
  )

/** Who is asking, said in ways that somebody somewhere believes. */
const credentials: Shape = oneOf(
  [
    'Authorization: Bearer T\r\nAuthorization: Bearer X',
    'Authorization: Bearer X\r\nAuthorization: Bearer T',
  ],
  [
    'Authorization: Bearer T, Bearer X',
    'Authorization: Bearer X, Bearer T',
    'Authorization: Basic T',
  ],
  [
    'Authorization: bearer X',
    'Authorization: Bearer  X',
    'Authorization: Bearer\tX',
    'Authorization: X',
  ],
  ['Authorization: Bearer', 'Authorization:', 'Proxy-Authorization: Bearer T', 'Cookie: token=T'],
  [
    'Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.WA, v5.channel.k8s.io',
    'X-Auth: T',
  ],
  [
    'authorization: Bearer T\r\nAuthorization: Bearer T',
    'Authorization_: Bearer T',
    'Auth_orization: T',
  ],
).map((lines) =>
  h1('credentials', (stamp) => {
    const forged = lines
      .replaceAll('Bearer T', `Bearer ${stamp.token}`)
      .replaceAll('X\r', 'account:x\r')
    return head(
      stamp,
      `GET ${target(stamp, SMUGGLED_PATH)} HTTP/1.1`,
      [forged, 'Connection: close'],
      false,
    )
  }),
)

const h2Base = (stamp: Stamp, method = 'GET'): [string, string][] => [
  [':method', method],
  [':scheme', 'https'],
  [':authority', stamp.host],
  [':path', target(stamp)],
]

/** What an h2 library of a client would never send. */
const overHttp2: Shape = fc
  .record({
    list: headers,
    upper: fc.boolean(),
    where: fc.constantFrom('headers', 'trailers', 'both'),
    authorized: fc.boolean(),
    extra: fc.option(
      fc.constantFrom<readonly [string, string]>(
        [':impersonate-user', 'root'],
        [':authority', 'alpha.localhost'],
        [':path', SMUGGLED_PATH],
        [':method', 'DELETE'],
        [':protocol', 'websocket'],
        ['connection', 'impersonate-user'],
        ['transfer-encoding', 'chunked'],
        ['host', 'alpha.localhost'],
        ['te', 'trailers, gzip'],
        ['x-a', '1\r\nimpersonate-user: root'],
        ['x-a: 1\r\nimpersonate-user', 'root'],
        ['x-a', '1\u0000'],
        ['', 'root'],
        ['authorization', 'Bearer of-the-agent-itself'],
      ),
    ),
  })
  .map(({ list, upper, where, authorized, extra }) => (stamp: Stamp): ForgedRequest => {
    const forged = list.map(([name, text]) => [upper ? name : name.toLowerCase(), text] as const)
    const auth = authorized ? [['authorization', `Bearer ${stamp.token}`] as const] : []
    const inHead = where === 'trailers' ? [] : forged
    const inTrailers = where === 'headers' ? undefined : forged
    return {
      over: 'h2',
      shape: `h2 ${where}`,
      headers: [
        ...h2Base(stamp, inTrailers && 'POST'),
        ...auth,
        ...inHead,
        ...(extra === null ? [] : [extra]),
      ],
      ...(inTrailers === undefined ? {} : { body: Buffer.from('{}'), trailers: inTrailers }),
    }
  })

/** Requests that must not arrive as anybody's but the one who asks, and mostly not at all. */
export const forgedRequest: Shape = fc.oneof(
  { weight: 4, arbitrary: plain },
  { weight: 1, arbitrary: unnamed },
  { weight: 3, arbitrary: upgraded },
  { weight: 3, arbitrary: smuggled },
  { weight: 3, arbitrary: malformed },
  { weight: 2, arbitrary: requestLine },
  { weight: 2, arbitrary: trailers },
  { weight: 2, arbitrary: credentials },
  { weight: 4, arbitrary: overHttp2 },
)
