// My day.

import {startManaged} from './managed_page.js';

startManaged('worker', {load: async () => {}, clear: () => {}});
