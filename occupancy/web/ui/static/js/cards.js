// Cards and PIN slips.

import {startManaged} from './managed_page.js';

startManaged('admin', {load: async () => {}, clear: () => {}});
