// What pages do by themselves. Without it they say the same after a reload.
"use strict";

const TICK_MS = 1000;
const LOOKED_AT = new WeakMap(); // when a part was looked at last
const announcer = document.getElementById("announcer");

// --- parts that move: data-refresh is where they are fetched, data-every how often. Where there is a
// stream of events (data-events), each event says that it is worth looking, and nobody has to ask. ---

async function fetched(path) {
  const response = await fetch(path, { headers: { Accept: "text/html" } });
  // Who is no longer signed in is sent elsewhere; what was deleted is gone.
  if (response.redirected || [401, 403, 404].includes(response.status)) return null;
  if (!response.ok) throw new Error(response.statusText);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

async function refresh(part) {
  const found = await fetched(part.dataset.refresh).catch(() => undefined);
  if (found === undefined) return; // the network or the service is away: look again later
  const fresh = found && found.body.firstElementChild;
  if (!fresh) return part.removeAttribute("data-refresh");
  if (fresh.dataset.state === part.dataset.state) {
    // The rest stays as it is, so that nobody loses the button under their finger.
    const [shown, newest] = [part, fresh].map((one) => one.querySelector("[data-part]"));
    if (!shown.isEqualNode(newest)) replaceInside(shown, newest); // pictures that stay are not loaded again
    part.dataset.every = fresh.dataset.every;
    return;
  }
  announcer.textContent = fresh.dataset.says;
  if ("wholePage" in part.dataset) return refreshPage();
  const [was, is] = [part, fresh].map((one) => one.querySelector("[form=selected]"));
  if (was && is) is.checked = was.checked;
  replace(part, document.adoptNode(fresh));
}

function replaceInside(old, fresh) {
  const focused = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
  old.replaceWith(fresh);
  // Whoever goes from link to link with the keyboard stays where they are.
  if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

async function refreshPage() {
  const page = await fetched(location.href).catch(() => null);
  const fresh = page && page.getElementById("main");
  if (!fresh) return;
  const main = document.getElementById("main");
  const [playing, same] = [main, fresh].map((one) => one.querySelector(":scope > .watching"));
  if (!playing || !playing.isEqualNode(same)) return replace(main, document.adoptNode(fresh));
  // Whoever watches this very video goes on: it never leaves the page.
  const parts = [...fresh.children];
  const had_focus = main.contains(document.activeElement) && !playing.contains(document.activeElement);
  for (const part of [...main.children]) if (part !== playing) part.remove();
  playing.before(...parts.slice(0, parts.indexOf(same)));
  playing.after(...parts.slice(parts.indexOf(same) + 1));
  if (had_focus) focusIn(main);
}

function replace(old, fresh) {
  const had_focus = old.contains(document.activeElement);
  old.replaceWith(fresh);
  if (had_focus) focusIn(fresh);
}

function focusIn(part) {
  const target = part.querySelector("a, button") || part;
  target.focus({ preventScroll: true });
}

// With data-on-screen, a part is left alone while nobody can see it.
function isOnScreen(part) {
  const box = part.getBoundingClientRect();
  return box.bottom > 0 && box.top < window.innerHeight;
}

const STREAM = { of: null, source: null, is_open: false }; // of: the address that is followed

function follow() {
  const part = document.querySelector("[data-events][data-refresh]");
  const wanted = part && !document.hidden ? part.dataset.events : null;
  if (STREAM.of === wanted || !window.EventSource) return;
  if (STREAM.source) STREAM.source.close();
  Object.assign(STREAM, { of: wanted, source: null, is_open: false });
  if (!wanted) return;
  const source = (STREAM.source = new EventSource(wanted));
  source.addEventListener("open", () => { STREAM.is_open = STREAM.source === source; });
  source.addEventListener("error", () => { if (STREAM.source === source) STREAM.is_open = false; });
  source.addEventListener("state", () => {
    const shown = document.querySelector("[data-events][data-refresh]");
    if (shown && STREAM.source === source) refresh(shown);
  });
}

async function tick() {
  follow();
  if (document.hidden) return;
  const now = Date.now();
  for (const part of document.querySelectorAll("[data-refresh]")) {
    if (STREAM.is_open && part.dataset.events === STREAM.of) continue;
    if (!LOOKED_AT.has(part)) LOOKED_AT.set(part, now);
    if (now - LOOKED_AT.get(part) < 1000 * part.dataset.every) continue;
    if ("onScreen" in part.dataset && !isOnScreen(part)) continue;
    LOOKED_AT.set(part, Infinity); // until it has answered
    refresh(part).finally(() => LOOKED_AT.set(part, Date.now()));
  }
}

tick();
setInterval(tick, TICK_MS);
document.addEventListener("visibilitychange", tick);

// --- forms that say at once what is wrong: data-check is who is asked ------------------------------

const TURNS = new WeakMap(); // answers may overtake each other

async function check(form) {
  const turn = (TURNS.get(form) || 0) + 1;
  TURNS.set(form, turn);
  const response = await fetch(form.dataset.check, { method: "POST", body: new FormData(form) });
  if (!response.ok || response.redirected) return;
  const { errors, choices } = await response.json();
  if (TURNS.get(form) !== turn) return;
  for (const slot of form.querySelectorAll("[data-error]")) {
    const name = slot.dataset.error;
    const field = form.querySelector(`#f-${name}`);
    const text = errors[name] || "";
    if (slot.textContent !== text) slot.textContent = text;
    slot.hidden = !text;
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  for (const slot of form.querySelectorAll("[data-which]")) {
    const texts = choices[slot.dataset.which] || [];
    const options = slot.querySelectorAll("option"); // the first one chooses nothing
    texts.forEach((text, n) => { options[n + 1].textContent = text; });
    slot.hidden = !texts.length;
  }
}

for (const form of document.querySelectorAll("form[data-check]")) {
  form.addEventListener("change", () => check(form).catch(() => {}));
}

// --- the last half hour by the clock of the chosen room: each option proposes values of fields -----

for (const select of document.querySelectorAll("[data-proposes]")) {
  const field = (name) => document.getElementById(`f-${name}`);
  let before = Object.entries(select.selectedOptions[0].dataset);
  select.addEventListener("change", () => {
    // What somebody has typed stays.
    const is_proposed = before.length && before.every(([name, value]) => field(name).value === value);
    before = Object.entries(select.selectedOptions[0].dataset);
    if (is_proposed) for (const [name, value] of before) field(name).value = value;
  });
}
