// Restored pages: the browser's back button shows a page in its old state, with names and data, even if
// its session has ended. So a page hides its content when the user leaves it, and shows it again only
// after the server has said who is signed in.

/** Shows the page again only after `check()` has resolved. */
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
  // The next user must not find an open dialog or a half-typed secret.
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  for (const secret of document.querySelectorAll('input[type="password"]')) secret.value = '';
}
