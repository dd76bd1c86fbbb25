import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '@postern/local-servers'
import { environment } from '../config.ts'
import { childrenOf } from '../processes.ts'
import { type BenchWorld, freeAddress, startServer } from './bench-world.ts'
import { type Part, partOf, type Stack } from './stack.ts'

const HOPS = 3

/**
 * Three nginx one behind the other; `undefined` where nginx is not installed. It cannot check names that
 * are addresses, so here it does not look at who is behind.
 */
export async function startNginx(world: BenchWorld): Promise<Stack | undefined> {
  const program = findProgram('nginx', environment.path, ['/usr/sbin', '/opt/homebrew/bin'])
  if (program === undefined) return undefined
  const { web, upstream } = world
  let behind = upstream.address
  const hops: Part[] = []
  for (let hop = 1; hop <= HOPS; hop += 1) {
    const address = await freeAddress()
    const dir = join(world.dir, `nginx-${hop}`)
    mkdirSync(dir, { mode: 0o755 })
    const file = join(dir, 'nginx.conf')
    writeFileSync(file, configuration({ dir, address, behind, web }))
    const master = await startServer(world, {
      name: `nginx-${hop}`,
      program,
      args: ['-p', dir, '-c', file],
      addresses: [address],
    })
    hops.unshift(...workersOf(hop, partOf('nginx', master).pid))
    behind = address
  }
  return { name: 'nginx-3', address: behind, prefix: '', caFile: web.ca, hops, beside: [] }
}

function configuration(order: {
  dir: string
  address: string
  behind: string
  web: BenchWorld['web']
}): string {
  const { dir, address, behind, web } = order
  return `daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log error;
user root;
worker_processes 1;
worker_rlimit_nofile 20000;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream behind { server ${behind}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen ${address} ssl http2;
    ssl_certificate ${web.cert};
    ssl_certificate_key ${web.key};
    keepalive_requests 1000000000;
    location / {
      proxy_pass https://behind;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_busy_buffers_size 32k;
      proxy_read_timeout 1h;
      proxy_ssl_session_reuse on;
    }
  }
}
`
}

/** The workers do the work; the master only starts them. */
function workersOf(hop: number, master: number): Part[] {
  return childrenOf(master).map((pid) => ({ name: `nginx ${hop}`, pid }))
}
