// What the linter holds the pages' scripts to: mistakes, not taste.

import js from '@eslint/js';
import globals from 'globals';

const rules = {
  ...js.configs.recommended.rules,
  'array-callback-return': 'error',
  'consistent-return': 'error',
  'default-case-last': 'error',
  eqeqeq: 'error',
  'max-len': ['error', {code: 120}],
  'no-alert': 'error',
  'no-console': 'error',
  'no-constructor-return': 'error',
  'no-duplicate-imports': 'error',
  'no-eval': 'error',
  'no-implied-eval': 'error',
  'no-promise-executor-return': 'error',
  'no-restricted-properties': [
    'error',
    // What somebody wrote in a title stays text: elements are made, never parsed.
    ...['innerHTML', 'outerHTML', 'insertAdjacentHTML'].map((property) => ({property})),
    {object: 'document', property: 'write'},
    {object: 'crypto', property: 'randomUUID', message: 'It is for secure contexts only.'},
  ],
  'no-shadow': ['error', {builtinGlobals: false}],
  'no-template-curly-in-string': 'error',
  'no-unreachable-loop': 'error',
  'no-unused-vars': ['error', {args: 'after-used'}],
  'no-use-before-define': ['error', {functions: false, classes: false, variables: false}],
  'no-useless-assignment': 'error',
  'no-var': 'error',
  'object-shorthand': 'error',
  'prefer-const': 'error',
  strict: ['error', 'never'],
};

export default [
  {ignores: ['.venv/', 'var/', 'node_modules/']},
  {
    files: ['occupancy/web/ui/static/js/**/*.js'],
    languageOptions: {ecmaVersion: 2023, sourceType: 'module', globals: globals.browser},
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules,
  },
  {
    files: ['occupancy/web/ui/static/worker/*.js'],
    languageOptions: {ecmaVersion: 2023, sourceType: 'script', globals: globals.serviceworker},
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules,
  },
  {
    files: ['tests/js/**/*.js', 'eslint.config.js'],
    languageOptions: {ecmaVersion: 2023, sourceType: 'module', globals: globals.node},
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules,
  },
];
