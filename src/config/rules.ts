// What a schema cannot say: how settings must fit together. A list of rules; all of them run, all findings are reported.
import type { Rule } from './rule.ts'
import { balancingRules } from './rules-balancing.ts'
import { cacheRules } from './rules-cache.ts'
import { faultRules } from './rules-fault.ts'
import { fileRules } from './rules-files.ts'
import { listenRules } from './rules-listen.ts'
import { outageRules } from './rules-outage.ts'
import { policyRules } from './rules-policy.ts'
import { routeRules } from './rules-route.ts'
import { splitRules } from './rules-split.ts'

export const rules: readonly Rule[] = [...routeRules, ...policyRules, ...splitRules, ...balancingRules, ...cacheRules, ...outageRules, ...listenRules, ...fileRules, ...faultRules]
