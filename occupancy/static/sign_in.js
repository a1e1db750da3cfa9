// Sign-in: by worker and PIN, or by the link that has brought us here.
//
// What a link lets in with stands behind its '#': browsers send that to nobody, so it is in no
// proxy's log. It goes to the server in the body of a POST, and out of the address bar.

const form = document.getElementById('sign-in');
const signedIn = document.getElementById('signed-in');
const pinForm = document.getElementById('set-pin');
let csrfToken = null;

function say(text) {
  document.getElementById('said').textContent = text;
}

async function send(method, path, body) {
  const headers = {};
  if (body) headers['Content-Type'] = 'application/json';
  if (csrfToken) headers['X-CSRF-Token'] = csrfToken;
  const response = await fetch(path, {method, headers, body: body && JSON.stringify(body)});
  const answer = response.status === 204 ? {} : await response.json();
  return {ok: response.ok, answer};
}

function show(session) {
  csrfToken = session && session.csrf_token;
  form.hidden = Boolean(session);
  signedIn.hidden = !session;
  if (session) {
    document.getElementById('name').textContent = session.worker.name;
    document.getElementById('role').textContent = `(${session.worker.role})`;
    document.title = `${session.worker.name} · occupancy`;
  } else {
    document.title = 'Sign in · occupancy';
  }
}

async function signIn(body) {
  say('');
  try {
    const {ok, answer} = await send('POST', '/api/session', body);
    if (ok) show(answer);
    else say(answer.detail);
    return ok;
  } catch {
    say('The server cannot be reached. Try again in a moment.');
    return false;
  }
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
  const {ok, answer} = await send('DELETE', '/api/session');
  if (!ok) say(answer.detail);
  pinForm.hidden = true;
  show(null);
  form.elements.worker.focus();
});

pinForm.addEventListener('submit', async (event) => {
  event.preventDefault();
  const {answer: me} = await send('GET', '/api/session');
  const pin = pinForm.elements.pin.value;
  const {ok, answer} = await send('PUT', `/api/workers/${encodeURIComponent(me.worker.id)}`, {pin});
  if (!ok) {
    say(answer.detail);
    return;
  }
  pinForm.hidden = true;
  // A new PIN ends every session of its worker, this one too.
  if (await signIn({worker: me.worker.id, pin})) say('The PIN is set.');
  pinForm.reset();
});

const secret = decodeURIComponent(location.hash.slice(1));
if (secret) {
  history.replaceState(null, '', location.pathname);
  if (await signIn({token: secret}) && secret.startsWith('occlink_')) {
    const {answer} = await send('GET', '/api/session');
    pinForm.hidden = answer.worker?.role !== 'admin';
  }
} else {
  const {ok, answer} = await send('GET', '/api/session').catch(() => ({}));
  show(ok ? answer : null);
}
