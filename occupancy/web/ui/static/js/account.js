// My account.

import {startManaged} from './managed_page.js';

startManaged('observer', {load: async () => {}, clear: () => {}});
