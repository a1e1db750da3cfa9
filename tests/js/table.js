// The transition table in the page, as the server renders it: import this before the page's modules.
// tests/web/ui/test_transitions.py holds transitions.json to the server's table.

import {readFileSync} from 'node:fs';

const transitions = readFileSync(new URL('transitions.json', import.meta.url), 'utf-8');
globalThis.document = {body: {dataset: {transitions}}, addEventListener() {}};
