// Where the rows of an import come from: a chosen file, one that is dropped, and rows that are pasted.

import {byId} from './dom.js';

const hasFiles = (event) => event.dataTransfer?.types.includes('Files');
const isTyping = (target) => target instanceof Element && target.closest('input:not([type=file]), textarea, dialog');

/** Calls `onFile(file)` and `onRows(text)`. */
export function listenToSources({onFile, onRows}) {
  byId('file').addEventListener('change', () => {
    const [file] = byId('file').files;
    if (file) onFile(file);
  });
  byId('use-rows').addEventListener('click', () => onRows(byId('rows').value));
  document.addEventListener('paste', (event) => {
    if (isTyping(event.target) || byId('managed').hidden || byId('source').hidden) return;
    const [file] = event.clipboardData.files;
    const text = event.clipboardData.getData('text/plain');
    if (text.trim()) { // a spreadsheet adds a picture of the cells
      event.preventDefault();
      byId('paste').open = true;
      byId('rows').value = text;
      onRows(text);
    } else if (file) {
      event.preventDefault();
      onFile(file);
    }
  });
  listenToDrops(onFile);
}

function listenToDrops(onFile) {
  for (const kind of ['dragenter', 'dragover']) {
    document.addEventListener(kind, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault(); // the browser would open the file in place of the page
      document.body.classList.add('dropping');
    });
  }
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) document.body.classList.remove('dropping');
  });
  document.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    document.body.classList.remove('dropping');
    const [file] = event.dataTransfer.files;
    if (file && !byId('managed').hidden) onFile(file);
  });
}
