// What the linter insists on. Promises first: one forgotten await here loses money.
// Layout is prettier's, unused code the compiler's and knip's, import direction src/testing/tidy.test.ts'.

import tseslint from 'typescript-eslint'

const correctness = {
  'array-callback-return': 'error',
  eqeqeq: 'error',
  'no-constant-binary-expression': 'error',
  'no-control-regex': 'off',
  'no-fallthrough': 'error',
  'no-param-reassign': 'off',
  'no-promise-executor-return': 'off',
  'no-self-compare': 'error',
  'no-template-curly-in-string': 'error',
  'no-unreachable-loop': 'error',
  'no-unsafe-finally': 'error',
  'no-useless-assignment': 'error',
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  complexity: ['error', 20],
  'max-depth': ['error', 4],
  'max-lines': ['error', { max: 400 }],
}

const functionLength = ['error', { max: 70, skipBlankLines: true, skipComments: true }]

const promises = {
  '@typescript-eslint/no-floating-promises': 'error',
  '@typescript-eslint/no-misused-promises': 'error',
  '@typescript-eslint/promise-function-async': 'off',
  '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
  '@typescript-eslint/switch-exhaustiveness-check': [
    'error',
    { considerDefaultExhaustiveForUnions: true },
  ],
}

const pleasant = {
  // An interface may demand a promise of an implementation that has nothing to wait for.
  '@typescript-eslint/require-await': 'off',
  '@typescript-eslint/restrict-template-expressions': [
    'error',
    { allowNumber: true, allowBoolean: true, allow: [{ from: 'lib', name: 'bigint' }] },
  ],
  // The compiler takes an array's element for present, so this rule would call needed checks needless.
  '@typescript-eslint/no-unnecessary-condition': 'off',
  '@typescript-eslint/no-confusing-void-expression': [
    'error',
    { ignoreArrowShorthand: true, ignoreVoidOperator: true },
  ],
  // `() => {}` says it well enough.
  '@typescript-eslint/no-empty-function': 'off',
  '@typescript-eslint/no-unused-vars': 'off',
  '@typescript-eslint/consistent-type-imports': [
    'error',
    { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
  ],
}

const nodeGlobals = [
  'AbortController',
  'AbortSignal',
  'Buffer',
  'Response',
  'URL',
  'clearInterval',
  'clearTimeout',
  'console',
  'fetch',
  'performance',
  'process',
  'setImmediate',
  'setInterval',
  'setTimeout',
  'structuredClone',
]

export default tseslint.config(
  { ignores: ['**/dist', 'data', 'bench-report', 'src/record/gen', 'client/src/gen', '.*'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['src/**/*.ts', 'client/src/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      ...correctness,
      ...promises,
      ...pleasant,
      'max-lines-per-function': functionLength,
    },
  },
  {
    // Suites are functions full of tests; tidy.test.ts measures what stands in each of them.
    files: ['src/**/*.test.ts', 'src/testing/**/*.ts', 'src/log/conformance*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      // A test says on purpose what no program would.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      // node:test awaits top-level tests itself.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: ['test', 'it', 'describe', 'suite'].map((name) => ({
            from: 'package',
            name,
            package: 'node:test',
          })),
        },
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: 'module',
      globals: Object.fromEntries(nodeGlobals.map((name) => [name, 'readonly'])),
    },
    rules: {
      ...correctness,
      'no-undef': 'error',
      'no-unused-vars': 'error',
      'max-lines-per-function': functionLength,
    },
  },
)
