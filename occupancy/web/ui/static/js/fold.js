// Texts as searches compare them. Pure.

/**
 * Small letters without accents, so that 'senal' finds 'Señal'. The API's `q` does the same
 * (boards/search.py). A sigma at the end of a word has another letter.
 */
export function fold(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ς', 'σ');
}
