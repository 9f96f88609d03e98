// By which headers, cookies and query keys a request says who asks, or a proxy in front of it does. Pure.
import { toMatch, type Match } from '../lib/match-names.ts'
import { decodeFieldName } from './debug-names.ts'

/** Of ServiceStack hosts, and of the frameworks that legacy services behind prefix routes are made with. */
const headers = ['authorization', 'proxy-authorization', 'x-api-key', 'api-key', 'apikey', 'x-auth-token', 'x-access-token', 'x-id-token', 'x-ss-*', 'authsecret']
/** Whom a proxy in front has found out to be asking: of clouds, of login proxies, and client certificates (RFC 9440). A stranger may write the same. */
const proxyHeaders = [
  'x-amzn-oidc-*', 'x-amzn-mtls-*', 'cf-access-*', 'x-arr-clientcert*', 'x-ms-client-principal*', 'x-ms-token-*', 'x-goog-authenticated-user-*', 'x-goog-iap-jwt-assertion', 'x-forwarded-client-cert', 'x-forwarded-tls-client-cert*',
  'x-forwarded-user', 'x-forwarded-email', 'x-forwarded-groups', 'x-forwarded-preferred-username', 'x-forwarded-access-token', 'x-auth-request-*', 'x-authenticated-*', 'x-consumer-*', 'x-credential-identifier', 'x-authentik-*',
  'x-pomerium-*', 'tailscale-user-*', 'x-ssl-client-*', 'ssl-client-*', 'client-cert*', 'x-client-cert*', 'remote-user', 'remote-groups', 'remote-name', 'remote-email', 'x-remote-user', 'x-remote-group', 'x-webauth-user'
]
const cookies = ['ss-id', 'ss-pid', 'ss-tok', 'ss-reftok', 'asp.net_sessionid', '.aspnetcore.*', '.aspnet.*', '.aspxauth', 'jsessionid', 'phpsessid', 'connect.sid', 'session*', 'sid', '*token', 'jwt']
const keys: ReadonlySet<string> = new Set(['apikey', 'api_key', 'api-key', 'ss-id', 'ss-pid', 'ss-tok', 'authsecret', 'access_token'])

/** `own`: further ones, as postern.yaml names them. Names are matched in lower case. */
export const toIdentityHeaders = (own: readonly string[]): Match => toMatch([...headers, ...own])
export const toIdentityCookies = (own: readonly string[]): Match => toMatch([...cookies, ...own])
export const isProxyIdentity: Match = toMatch(proxyHeaders)

/** Pairs of a query that say who asks, as they are written; hosts read the names decoded. */
export function identityPairs (target: string): readonly string[] {
  const query = target.indexOf('?')
  return query === -1 ? none : target.slice(query + 1).split('&').filter(isIdentityPair)
}

function isIdentityPair (pair: string): boolean {
  const equals = pair.indexOf('=')
  return equals > 0 && keys.has(decodeFieldName(pair.slice(0, equals)))
}

const none: readonly string[] = []
