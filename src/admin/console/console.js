// Keeps the live part of a page current, and obeys single keys. Every page works without it.
"use strict";

const live = document.querySelector("[data-live]");
const stale = document.getElementById("stale");
const said = document.getElementById("said");
const waiting = document.getElementById("waiting");
const asOf = document.getElementById("as-of");
const isLocal = document.body.dataset.times === "local";
const period = Number(live && live.dataset.every) || 5;
const focusable = "a, button, summary, input, select, textarea";
let tag = live && live.dataset.live;
let failures = 0;
let lastGood = new Date();
let lastSaid = { at: 0, words: words() };
let next = 0;

function words() {
  const now = live && live.querySelector("[data-say]");
  return now ? now.textContent : "";
}

function moment(date) {
  if (!isLocal) return date.toISOString().slice(0, 19).replace("T", " ") + " UTC";
  const ahead = -date.getTimezoneOffset();
  const two = (number) => String(Math.trunc(Math.abs(number))).padStart(2, "0");
  const local = new Date(date.getTime() + ahead * 60000).toISOString();
  return `${local.slice(0, 19).replace("T", " ")} UTC${ahead < 0 ? "-" : "+"}${two(ahead / 60)}:${two(ahead % 60)}`;
}

function localize(part) {
  if (!isLocal) return;
  for (const time of part.querySelectorAll("time[datetime]")) time.textContent = moment(new Date(time.dateTime));
}

function show(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function say(text) {
  lastSaid = { at: Date.now(), words: words() };
  said.textContent = text;
}

// What somebody types or ticks is not taken away.
function waitsFor(part) {
  const ticked = part.querySelectorAll("input[type=checkbox]:checked:not([data-default])").length;
  if (ticked > 0) return `Updates wait while ${ticked} ${ticked === 1 ? "row is" : "rows are"} ticked.`;
  const field = document.activeElement;
  const typing = part.contains(field) && field.matches("input:not([type=checkbox]), textarea, select");
  const fields = [...part.querySelectorAll("textarea, input:not([type=hidden]):not([type=checkbox])")];
  return typing || fields.some((one) => one.value !== one.defaultValue) ? "Updates wait while you type." : "";
}

// The same link or button in the new part, so that the focus stays.
function sameAs(focused, places, part) {
  const all = [...part.querySelectorAll(focusable)];
  const href = focused.getAttribute("href");
  return (focused.id && document.getElementById(focused.id)) || (href && all.find((one) => one.getAttribute("href") === href)) || all[places.indexOf(focused)];
}

function swap(part, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  localize(fresh);
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const places = [...part.querySelectorAll(focusable)];
  const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
  part.replaceChildren(...fresh.childNodes);
  const title = part.querySelector("[data-title]");
  if (title) document.title = title.dataset.title;
  for (const id of open) {
    const details = document.getElementById(id);
    if (details) details.open = true;
  }
  const same = focused && sameAs(focused, places, part);
  if (same) same.focus({ preventScroll: true });
  // A screen reader is not interrupted more often than each 15 s.
  if (words() !== lastSaid.words && Date.now() - lastSaid.at > 15000) say(words());
}

function current(answer) {
  failures = 0;
  lastGood = new Date(answer.headers.get("As-Of"));
  show(stale, "");
  asOf.dateTime = lastGood.toISOString();
  asOf.textContent = moment(lastGood);
}

function late() {
  failures += 1;
  if (failures < 2) return;
  show(stale, `Not current: the worker has not answered since ${moment(lastGood)}. What you see is old. Trying again.`);
}

async function poll() {
  let wait = period;
  show(waiting, waitsFor(live));
  if (!waiting.hidden) return plan(wait);
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch("/_" + location.pathname + location.search, { headers, cache: "no-store", redirect: "manual" });
    wait = Number(answer.headers.get("Poll-After")) || wait;
    if (answer.status === 401) return location.reload();
    if (answer.status === 304) current(answer);
    else if (answer.ok) {
      const html = await answer.text();
      if (waitsFor(live) === "") {
        tag = answer.headers.get("ETag");
        swap(live, html);
        current(answer);
      }
    } else late();
  } catch {
    late();
  }
  plan(wait);
}

function plan(seconds) {
  clearTimeout(next);
  if (!document.hidden) next = setTimeout(poll, seconds * 1000);
}

// The menu is open where there is room for it, and folded on a narrow screen.
const menu = document.getElementById("menu");
const narrow = matchMedia("(max-width: 640px)");
const fold = () => menu && (menu.open = !narrow.matches);
narrow.addEventListener("change", fold);
fold();

const copy = document.getElementById("copy");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", () => navigator.clipboard.writeText(location.href).then(() => say("Copied."), () => say("The browser does not let it be copied.")));
}

function toRow(step) {
  const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a, input"));
  const here = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step];
  if (row) row.querySelector("a, input").focus();
}

function tick() {
  const row = document.activeElement.closest("tr");
  const box = row && row.querySelector("input[type=checkbox]");
  if (box) box.click();
}

function close() {
  const open = document.activeElement.closest("details[open]") || document.querySelector("header details[open]");
  if (open && open !== menu) {
    open.open = false;
    open.querySelector("summary").focus();
  } else document.activeElement.blur();
}

const keys = {
  "/": () => document.getElementById("find").focus(),
  "?": () => location.assign("/help#keys-list"),
  j: () => toRow(1),
  k: () => toRow(-1),
  x: tick,
  r: () => (live ? poll() : location.reload()),
};
let isAfterG = false;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.body.dataset.keys === "off") return;
  if (event.key === "Escape") return close();
  if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
  const page = isAfterG && document.querySelector(`.menu a[data-key="${CSS.escape(event.key)}"]`);
  isAfterG = event.key === "g" && !isAfterG;
  const act = page ? () => page.click() : keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

localize(document);
if (live) {
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(next) : poll()));
  plan(period);
}
