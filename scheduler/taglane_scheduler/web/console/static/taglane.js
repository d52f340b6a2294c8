// What the console does in the browser: one event stream per tab, keys, copying, confirming. No framework.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);

// --- themes -------------------------------------------------------------------------------------------------------
// theme.js has set the one that was chosen before
$("#theme")?.addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* closed storage: for this page alone */ }
});

// --- times: how long ago, kept current ------------------------------------------------------------------------------
// A reader's clock may be wrong: all is counted by the server's.
const ahead = Date.now() - (Number(document.body.dataset.now) || Date.now());
const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, {numeric: "always", style: "short"});
const units = [["day", 86400, 2], ["hour", 3600, 2], ["minute", 60, 2], ["second", 1, 0]];
function say(time) {
  const seconds = (Date.parse(time.dateTime) - Date.now() + ahead) / 1000;
  if (Number.isNaN(seconds)) return;
  const [unit, size] = units.find(([, size, least]) => Math.abs(seconds) >= size * Math.max(least, 1)) || units[3];
  const count = Math.trunc(seconds / size);
  const text = time.classList.contains("age")
    ? new Intl.NumberFormat(language, {style: "unit", unit, unitDisplay: "short"}).format(Math.max(0, -count))
    : relative.format(count, unit);
  if (time.textContent !== text) time.textContent = text;
}
const sayAll = () => document.querySelectorAll("time[datetime]").forEach(say);
// The server's clock goes on by the browser's, beside the reader's own time.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone, loaded = Date.now();
function sayClock() {
  const clock = $("[data-clock]");
  if (!clock) return;
  const at = new Date(Number(clock.dataset.clock) + Date.now() - loaded);
  clock.textContent = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC · ${at.toLocaleTimeString(language)} ${zone}`;
}
sayAll();
sayClock();
setInterval(() => { sayAll(); sayClock(); }, 1000);

// --- live -----------------------------------------------------------------------------------------------------------
// A browser opens six connections to a server, over all its tabs: one that is not looked at has none, and of those that
// are, so many have a stream. The others ask for their page now and then, until a stream is free.
const STREAMS = 4, AGAIN_MS = 2000;
let stream = null, release = null, timer = 0, opening = false, paused = false, cursor = document.body.dataset.cursor;
const banner = $("#gone");
function gone(text, lost = true) {
  banner.hidden = false;
  $("b", banner).hidden = !lost;
  $("span", banner).textContent = text || "";
}
function show(html) {
  banner.hidden = true;
  if (!html) return;
  Idiomorph.morph($("#live"), html, {morphStyle: "innerHTML", ignoreActiveValue: true, callbacks: {
    // what the reader has opened stays open; a form that is being filled in is left alone
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
    beforeNodeMorphed: (old) => !(old.matches?.("form[data-keep]")),
  }});
  sayAll();
}
const wanted = () => !paused && !document.hidden && document.body.dataset.live === "yes";

// One of the streams that all tabs have together: returns what gives it back, or nothing when all are taken.
async function slot() {
  if (!navigator.locks) return () => {}; // it is there on https and localhost alone
  for (let number = 0; number < STREAMS; number++) {
    const taken = await new Promise((answer) => {
      navigator.locks.request(`taglane-stream-${number}`, {ifAvailable: true}, (lock) => {
        if (!lock) { answer(null); return undefined; }
        return new Promise((end) => answer(end));
      });
    });
    if (taken) return taken;
  }
  return null;
}
async function open() {
  if (stream || opening || !wanted()) return;
  clearTimeout(timer);
  opening = true;
  release = await slot();
  opening = false;
  if (!wanted()) { close(); return; }
  if (release) listen(); else timer = setTimeout(ask, AGAIN_MS);
}
async function ask() {
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    show(new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live")?.innerHTML);
  } catch { gone(""); }
  open();
}
function listen() {
  const at = location.pathname + location.search;
  stream = new EventSource(`/events?at=${encodeURIComponent(at)}&cursor=${encodeURIComponent(cursor)}`);
  stream.addEventListener("live", (event) => show(JSON.parse(event.data).html));
  stream.addEventListener("tail", (event) => {
    const {target, html, cursor: next} = JSON.parse(event.data), element = document.getElementById(target);
    if (next) cursor = next;
    if (!element) return;
    const follows = element.scrollTop + element.clientHeight >= element.scrollHeight - 40;
    element.insertAdjacentHTML("beforeend", html);
    while (element.childElementCount > 5000) element.firstElementChild.remove();
    if (follows) element.scrollTop = element.scrollHeight;
  });
  stream.addEventListener("gone", (event) => gone(JSON.parse(event.data).text));
  stream.addEventListener("over", (event) => { close(); gone(JSON.parse(event.data).text, false); });
  // not the browser's own way to come back: it would ask from the cursor that it began with, and repeat lines
  stream.addEventListener("error", () => { close(); gone(""); timer = setTimeout(open, AGAIN_MS); });
}
function close() {
  clearTimeout(timer);
  stream?.close();
  release?.();
  stream = release = null;
}
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", open);
function pause() {
  paused = !paused;
  const button = $("#pause");
  button.setAttribute("aria-pressed", paused);
  button.textContent = paused ? button.dataset.off : button.dataset.on;
  if (paused) close(); else open();
}
$("#pause")?.addEventListener("click", pause);
open();

// --- copying, confirming ----------------------------------------------------------------------------------------------
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); } catch { prompt("", button.dataset.copy); return; }
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1200);
});
// What can't be undone is asked about; the answer is the dialog's, and the form is sent a second time with it.
let asked = null;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || !form.dataset.confirm || form === asked) { asked = null; return; }
  event.preventDefault();
  const dialog = $("#sure"), button = event.submitter;
  $("p", dialog).textContent = form.dataset.confirm;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") { asked = form; form.requestSubmit(button); }
  };
  dialog.showModal();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

// --- keys -------------------------------------------------------------------------------------------------------------
let before = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (before === "g") {
    const link = $(`[data-key="g ${CSS.escape(event.key)}"]`);
    before = "";
    if (link) link.click();
    return;
  }
  before = event.key === "g" ? "g" : "";
  if (event.key === "/") { event.preventDefault(); $("input[type=search]")?.focus(); }
  if (event.key === "p") pause();
  if (event.key === "?") $("#keys").showModal();
});
$("#help")?.addEventListener("click", () => $("#keys").showModal());
document.addEventListener("click", (event) => {
  const menu = $(".menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});

// --- logs begin at their end --------------------------------------------------------------------------------------------
document.querySelectorAll(".log").forEach((element) => { element.scrollTop = element.scrollHeight; });

// --- a form is sent once, however often its button is clicked -------------------------------------------------------------
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 3000);
});
