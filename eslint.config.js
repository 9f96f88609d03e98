// Lint rules: neostandard's formatting, and what the compiler knows about promises and unknown values.
import neostandard, { plugins, resolveIgnoresFromGitignore } from 'neostandard'

const { configs } = plugins['typescript-eslint']
const parser = configs.base.languageOptions.parser

export default [
  ...neostandard({
    ts: true,
    noJsx: true,
    ignores: [...resolveIgnoresFromGitignore(), 'dist/**']
  }),
  {
    rules: {
      'n/prefer-node-protocol': 'error',
      'no-console': 'error',
      // `void promise` says that nobody waits on purpose.
      'no-void': ['error', { allowAsStatement: true }],
      'max-lines': ['error', 300],
      'max-params': ['error', 5],
      'max-depth': ['error', 4],
      complexity: ['error', 30]
    }
  },
  {
    // Rules that ask the compiler: each stands for a kind of fault that takes a gateway down.
    files: ['**/*.ts'],
    languageOptions: { parser, parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A lost rejection is a crash or a leak.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite', 'before', 'after'] }] }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      // try { return promise } has left the try before the promise settles.
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // Errors keep their cause and stack.
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'error',
      // A new breaker state or error code must be handled.
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Values from outside stay unknown until they are parsed.
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      // Type stripping needs it.
      '@typescript-eslint/consistent-type-imports': 'error'
    }
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      // V8 puts a closure that is assigned to a property among the old objects at once (it takes it for a method). Made for each request, it
      // keeps everything that it sees until the next full collection: a fifth of all that was allocated outlived each scavenge (measured).
      'no-restricted-syntax': ['error', {
        selector: 'AssignmentExpression[left.type="MemberExpression"] > :matches(ArrowFunctionExpression, FunctionExpression).right',
        message: 'Give the object itself, or name the function first: V8 makes a function that is assigned to a property an old object.'
      }]
    }
  },
  {
    // The command writes to its user.
    files: ['src/main.ts', 'src/command/**', 'bin/**', 'bench/**', 'config/*.ts', 'examples/**'],
    rules: { 'no-console': 'off' }
  },
  {
    // Tests are long lists of cases, and read answers as what they expect them to be.
    files: ['test/**', 'bench/**'],
    rules: {
      'max-lines': 'off',
      'max-params': 'off',
      'max-depth': 'off',
      complexity: 'off',
      // Polling a value that a callback changes.
      'no-unmodified-loop-condition': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off'
    }
  }
]
