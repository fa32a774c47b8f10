// Lint rules: everything typescript-eslint considers strict, less the rules named here with their reason.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Modules that only one room may import (the room's own files switch the rule off below). */
const confined = [
  { name: 'ioredis', message: 'only src/broker/redis speaks to Redis' },
  { name: 'prom-client', message: 'only src/telemetry makes metrics' },
  { name: 'pino', message: 'only src/telemetry makes loggers' },
  { name: 'node:child_process', message: 'only src/consumer/children starts processes' },
];

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'coverage/**'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js', 'bin/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // Numbers are what most of our messages are made of.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // `while (true)` with an explicit way out is how a loop-per-file reads.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      // `return void x()` and async arrows as handlers are spelled out where they matter.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Names that start with _ are there to satisfy a signature.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // Ports are async; an implementation in memory often has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['src/**'], rules: { 'no-restricted-imports': ['error', { paths: confined }] } },
  {
    files: ['src/broker/redis/**', 'src/telemetry/**', 'src/consumer/children/**'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['test/**', 'bench/**', 'examples/**'],
    rules: {
      // node:test returns promises from describe() and test() that the runner itself awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
          ],
        },
      ],
      // A test states what must be there; the assertion is the message.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  { files: ['examples/**', 'bench/**'], rules: { 'no-console': 'off' } },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
);
