// Texts as searches compare them. Pure.

const IS_ASCII = /^[\x20-\x7e]*$/; // most texts: ten times as fast

/**
 * Small letters without accents, so that 'senal' finds 'Señal'. The API's `q` does the same
 * (boards/search.py). A sigma at the end of a word has another letter.
 */
export function fold(text) {
  if (IS_ASCII.test(text)) return text.toLowerCase();
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ς', 'σ');
}
