// Programs and walls.

import {startManaged} from './managed_page.js';

startManaged('admin', {load: async () => {}, clear: () => {}});
