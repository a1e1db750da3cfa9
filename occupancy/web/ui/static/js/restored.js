// Restored pages: the browser keeps a page that is left, and its back button shows it as it was, with
// names and data, although its session may have ended. So a page hides them when it is left, and shows
// them only after the server has said who is signed in now.

/** `check()` is awaited before the page is shown again. */
export function onRestored(check) {
  let turn = 0;
  addEventListener('pagehide', ({persisted}) => { if (persisted) conceal(); });
  addEventListener('pageshow', async ({persisted}) => {
    if (!persisted) return;
    turn += 1;
    const mine = turn;
    conceal();
    await check();
    if (mine === turn) document.body.classList.remove('concealed');
  });
}

function conceal() {
  document.body.classList.add('concealed');
  // The next user must find neither an open dialog nor a half-typed secret.
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  for (const secret of document.querySelectorAll('input[type="password"]')) secret.value = '';
}
