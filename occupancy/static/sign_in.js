// Sign-in: by worker and PIN, or by the link that has brought us here.
//
// What a link lets in with stands behind its '#': browsers send that to nobody, so it is in no
// proxy's log. It goes to the server in the body of a POST, and out of the address bar.

const form = document.getElementById('sign-in');
const signedIn = document.getElementById('signed-in');
const pinForm = document.getElementById('set-pin');
let session = null;

function say(text) {
  document.getElementById('said').textContent = text;
}

// Never throws: a server that cannot be reached, or a proxy's own error page, is an answer too.
async function send(method, path, body) {
  const headers = {};
  if (body) headers['Content-Type'] = 'application/json';
  if (session) headers['X-CSRF-Token'] = session.csrf_token;
  try {
    const response = await fetch(path, {method, headers, body: body && JSON.stringify(body)});
    const answer = response.status === 204 ? {} : await response.json();
    return {ok: response.ok, status: response.status, answer};
  } catch {
    const detail = 'The server cannot be reached. Try again in a moment.';
    return {ok: false, status: 0, answer: {detail}};
  }
}

function show(now) {
  session = now;
  signedIn.hidden = !now;
  if (!now) pinForm.hidden = true;
  document.getElementById('whose-turn').textContent = now ? 'Somebody else?' : 'Sign in';
  document.getElementById('name').textContent = now ? now.worker.name : '';
  document.getElementById('role').textContent = now ? `(${now.worker.role})` : '';
  document.title = now ? `${now.worker.name} · occupancy` : 'Sign in · occupancy';
}

// Whoever was signed in stays so where this is refused; else they are out in the same step.
async function signIn(body) {
  say('');
  const {ok, answer} = await send('POST', '/api/session', body);
  if (ok) {
    pinForm.hidden = true;
    show(answer);
  } else {
    say(answer.detail);
  }
  return ok;
}

async function lookAgain() {
  const {ok, status, answer} = await send('GET', '/api/session');
  if (ok) show(answer);
  else if (status === 401) show(null);
  else say(answer.detail);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const ok = await signIn({worker: fields.get('worker').trim(), pin: fields.get('pin')});
  form.elements.pin.value = '';
  if (ok) form.reset();
  else form.elements.pin.focus();
});

document.getElementById('sign-out').addEventListener('click', async () => {
  say('');
  const {ok, status, answer} = await send('DELETE', '/api/session');
  if (ok || status === 401) {
    show(null);
    form.elements.worker.focus();
    return;
  }
  // Still signed in, perhaps as somebody else by now, in another tab: say so, and do not hide it.
  await lookAgain();
  say(answer.code === 'csrf' ? 'Somebody else has signed in here meanwhile.' : answer.detail);
});

pinForm.addEventListener('submit', async (event) => {
  event.preventDefault();
  const {id} = session.worker;
  const pin = pinForm.elements.pin.value;
  const {ok, answer} = await send('PUT', `/api/workers/${encodeURIComponent(id)}`, {pin});
  if (!ok) {
    say(answer.detail);
    return;
  }
  pinForm.reset();
  // A new PIN ends every session of its worker, this one too.
  if (await signIn({worker: id, pin})) say('The PIN is set.');
  else show(null);
});

async function enter() {
  const secret = location.hash.slice(1);
  if (!secret) {
    await lookAgain();
    return;
  }
  history.replaceState(null, '', location.pathname);
  if (!await signIn({token: secret})) {
    await lookAgain();
  } else if (secret.startsWith('occlink_')) {
    pinForm.hidden = session.worker.role !== 'admin';
  }
}

// A link that is opened where this page is open already loads nothing anew.
window.addEventListener('hashchange', () => location.hash && enter());
await enter();
