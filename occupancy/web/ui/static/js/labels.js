// Labels.

import {startManaged} from './managed_page.js';

startManaged('supervisor', {load: async () => {}, clear: () => {}});
