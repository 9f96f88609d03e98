// Configurations of the contenders: each proxies to one origin over kept-alive connections, on one core, with an access log. Pure.

interface Ports { readonly port: number, readonly originPort: number }

/** Default buffering; answers never go by way of a temporary file; the limits on requests per connection are lifted, on both sides. */
export const nginxConfig = ({ port, originPort, directory, name = 'nginx' }: Ports & { directory: string, name?: string }): string => `
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1; daemon off; pid ${directory}/${name}.pid; error_log ${directory}/${name}-error.log;
events { worker_connections 4096; }
http {
  access_log ${directory}/${name}.log;
  keepalive_timeout 3600s; keepalive_requests 1000000000; client_max_body_size 1m; client_body_buffer_size 128k;
  client_body_temp_path ${directory}/${name}-body; proxy_temp_path ${directory}/${name}-proxy; fastcgi_temp_path ${directory}/${name}-fastcgi;
  uwsgi_temp_path ${directory}/${name}-uwsgi; scgi_temp_path ${directory}/${name}-scgi;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`

/** As above, with a cache of files for what the origin says may be kept. */
export const nginxCacheConfig = (place: Ports & { directory: string }): string => nginxConfig({ ...place, name: 'nginx-cache' })
  .replace('http {', `http {\n  proxy_cache_path ${place.directory}/nginx-cache-files keys_zone=bench:10m max_size=256m;`)
  .replace('location / {', 'location / {\n      proxy_cache bench;')

/** Its own rules for what may be kept; answers in memory. */
export const varnishConfig = ({ originPort }: Ports): string => `vcl 4.1;\nbackend origin { .host = "127.0.0.1"; .port = "${originPort}"; }\n`

export const haproxyConfig = ({ port, originPort }: Ports): string => `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 3600s
  timeout server 60s
  timeout http-keep-alive 3600s
frontend listener
  bind 127.0.0.1:${port} backlog 4096
  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`

/** Keeps as many idle connections as there are clients: its default of 32 a host would make it reconnect all the time. */
export const caddyConfig = ({ port, originPort, logFile }: Ports & { logFile: string }): string => JSON.stringify({
  admin: { disabled: true },
  logging: {
    logs: {
      default: { level: 'ERROR' },
      access: { writer: { output: 'file', filename: logFile, roll: false }, encoder: { format: 'json' }, include: ['http.log.access.bench'] }
    }
  },
  apps: {
    http: {
      servers: {
        bench: {
          listen: [`127.0.0.1:${port}`],
          automatic_https: { disable: true },
          logs: { default_logger_name: 'bench' },
          routes: [{
            handle: [{
              handler: 'reverse_proxy',
              transport: { protocol: 'http', keep_alive: { max_idle_conns_per_host: 128, idle_timeout: '1h' } },
              upstreams: [{ dial: `127.0.0.1:${originPort}` }]
            }]
          }]
        }
      }
    }
  }
})

/** Further upstreams of Postern and their messages, as lines of its configuration. */
export interface Beside { readonly upstreams: readonly string[], readonly messages: readonly string[] }

/** By name: the port of the one endpoint, the one message, and further settings. */
export const posternBeside = (upstreams: Readonly<Record<string, readonly [port: number, message: string, settings?: string]>>): Beside => ({
  upstreams: Object.entries(upstreams).map(([name, [port, , settings]]) => `  ${name}: { endpoints: ["http://127.0.0.1:${port}"]${settings === undefined ? '' : `, ${settings}`} }`),
  messages: Object.entries(upstreams).map(([name, [, message]]) => `  ${message}: { upstream: ${name} }`)
})

const nothingBeside: Beside = { upstreams: [], messages: [] }

/** Nothing but addresses, the log's file and what is routed: every protection stands as it comes. */
export const posternConfig = ({ port, adminPort, originPort, logFile, beside = nothingBeside }: Ports & { adminPort: number, logFile: string, beside?: Beside | undefined }): string => `
listener: { address: "127.0.0.1:${port}" }
admin: { address: "127.0.0.1:${adminPort}" }
log: { destination: ${JSON.stringify(logFile)} }
upstreams:
  bench: { endpoints: ["http://127.0.0.1:${originPort}"] }
${beside.upstreams.join('\n')}
messages:
${beside.messages.join('\n')}
  GetBench: { upstream: bench }
  GetBenchLarge: { upstream: bench }
  GetBenchCached: { upstream: bench }
  PostBench: { upstream: bench }
  PostBenchLarge: { upstream: bench }
  PostBenchLargeAnswer: { upstream: bench }
`

/** Every protection that has a switch, off; endpoints in turn in place of the fastest. */
export const protectionsOff = `
shedding: { eventLoopDelayMs: 0, heapPercent: 0 }
defaults:
  policy: { attempts: 1, tellTimeout: false, messageBreaker: { enabled: false, slowCallFactor: 0 }, balancer: { strategy: round-robin } }
  breaker: { enabled: false }
  outliers: { enabled: false }
  bulkhead: { maxConcurrent: 1000000 }
`

/** What of the protections is off as it comes, on as well; conditions that no call meets and one endpoint, so that only the asking costs, and of hedging its timer. */
export const everythingOn = `
faults: { allow: true }
defaults:
  policy:
    hedge: { enabled: true }
    degraded: { body: "{}" }
    fault: { delayMs: 1000, header: "X-Game-Day: 1", until: "2099-01-01T00:00:00Z" }
    split: { parts: [{ name: canary, to: { tag: canary }, when: { header: X-Canary } }] }
  bulkhead: { maxPerEndpoint: 128, adaptive: { enabled: true } }
`
