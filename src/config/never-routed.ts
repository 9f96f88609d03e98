// Messages that nothing in a configuration can let out: those of the discovery plugin and of the host itself.

/** Lower-cased (measured: hosts list them as unrestricted). */
export const neverRouted: ReadonlySet<string> = new Set(['getservices', 'getservice', 'serviceregistration', 'healthcheck', 'heartbeat', 'admindashboard'])
