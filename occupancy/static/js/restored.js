// A page that the browser keeps when one leaves it, and shows again by its back button. It is as
// it was, with names and data, while its session may have ended: so it leaves without them in
// sight, and shows them only after the server has said who is signed in now.

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
  // Nobody is asked any more, and nobody finds what somebody else has half typed.
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  for (const secret of document.querySelectorAll('input[type="password"]')) secret.value = '';
}
