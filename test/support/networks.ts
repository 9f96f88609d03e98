// Network rules of a test: this machine alone.
import { createNetworkRules, type NetworkRules } from '../../src/registry/allowed-networks.ts'

const rules = createNetworkRules(['127.0.0.0/8', '::1/128'], [])

export const onThisMachine = (): NetworkRules => rules
