"use strict";
const NOT_SURE = "?", NO_CLASS = "!";
const KEYS = [..."1234567890abcdefghijklmnopqrstuvwxyz"];
const SMALL_PIXELS = 100;
const RETRY_MILLISECONDS = 2000;
const $ = (id) => document.getElementById(id);
// A tab keeps its name when it is loaded again, and with it the image that it was asked about.
const tab = (sessionStorage.tab ??= crypto.randomUUID());
let state = null;          // what the server said last
let query = null;          // the image shown, and its annotations when it was
let visible = false;       // whether it has loaded: nobody labels what is not there to be seen
let busy = false;
const keyOf = new Map();   // class -> key
const history = [];        // what this tab annotated: position, annotations before, and when it did

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const magnified = ({ target }) => target.classList.toggle("small", target.naturalWidth < SMALL_PIXELS);
const tile = (position) =>
  element("img", { src: `tile/${position}`, alt: `image ${position}`, loading: "lazy", onload: magnified });
const inWords = (label) => ({ [NOT_SURE]: "not sure", [NO_CLASS]: "no class" })[label] ?? label;
const count = (label) => state.annotations.filter((annotation) => annotation.label === label).length;
const labelingTime = (position) => state.annotations.find((a) => a.position === position)?.labeled_at;

// A class that is named as a key is, such as a digit, has that key; the others have the next free.
function assignKeys(classes) {
  const free = new Set(KEYS);
  const assign = (label, key) => free.delete(key) && keyOf.set(label, key);
  for (const label of classes) assign(label, label.toLowerCase());
  for (const label of classes) if (!keyOf.has(label)) assign(label, [...free][0]);
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

// Returns the server's response, or null after the page said what is wrong.
async function call(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, tab }),
  };
  try {
    const response = await fetch(path, options);
    if (response.ok) return await response.json();
    say(response.status === 403
      ? "The server was restarted; open the address that `make label` printed."
      : `Nothing was saved: ${await response.text()}`);
  } catch {
    say("The server does not answer. What you labeled is saved; run `make label` again to resume.");
  }
  return null;
}

// One thing at a time: a key that is pressed meanwhile is meant for what is not shown yet.
async function alone(work) {
  if (busy) return;
  busy = true;
  try {
    await work();
  } finally {
    busy = false;
  }
}

async function save(position, label, seen) {
  const next = await call(`annotation/${position}`, { label, seen });
  if (next) say("");
  const now = next ?? (await call(`state?tab=${tab}`));
  if (now) show(now);
  return Boolean(next);
}

const annotate = (label) => alone(async () => {
  if (!query || !visible) return;
  const { position, annotations: before, fromReview } = query;
  const seen = before.map((annotation) => annotation.labeled_at);
  if (await save(position, label, seen)) history.push({ position, before, labeled_at: labelingTime(position) });
  if (fromReview) review();
});

const undo = () => alone(async () => {
  const last = history.pop();
  if (!last) return;
  const { position, before, labeled_at } = last;
  // What was settled is only asked again: to take it back would lose what others said.
  if (before.length > 1 || (await save(position, before[0]?.label ?? null, [labeled_at]))) await choose(position);
});

async function choose(position, fromReview = false) {
  const chosen = await call(`query/${position}`);
  if (chosen) showQuery({ ...chosen, fromReview });
}

function show(next) {
  state = next;
  const done = Math.max(0, state.budget - state.pending);
  const progress = $("bar").parentElement;
  $("bar").style.width = `${(100 * done) / state.budget}%`;
  progress.ariaValueNow = done;
  progress.ariaValueMax = state.budget;
  $("progress").textContent = `${done} of ${state.budget} labeled, ${state.pending} left`;
  const unseen = state.classes.filter((label) => !count(label));
  $("unseen").textContent = unseen.length ? `not yet seen: ${unseen.join(", ")}` : "every class has been seen";
  for (const position of state.upcoming) new Image().src = `image/${position}`;
  if (state.query) showQuery(state.query);
  else review();
}

function showQuery(next) {
  query = next;
  const { position, name, cluster_size, only_measures, annotations } = query;
  $("review").hidden = true;
  $("label").hidden = false;
  visible = false;
  $("image").removeAttribute("src");  // else the last image would be seen until this one is there
  $("image").onload = (event) => { magnified(event); visible = true; };
  $("image").onerror = () => say("This image cannot be loaded; is the server running, and the file there?");
  $("image").alt = `image ${position}`;
  $("image").src = `image/${position}`;
  const role = only_measures ? "only measures how good the result is" : `stands for ${cluster_size.toLocaleString("en")} images`;
  $("caption").textContent = `${name} · ${role}`;
  for (const side of ["nearest", "farthest"]) {
    $(side).replaceChildren(...query[side].map(tile));
    $(side).parentElement.hidden = !query[side].length;
  }
  const disputed = annotations.length > 1;
  const said = annotations.map(({ label, labeled_by }) => `${inWords(label)} by ${labeled_by || "somebody"}`).join(", ");
  $("contradiction").hidden = !disputed;
  $("contradiction").textContent = `People disagree: ${said}. Your label replaces these.`;
  const given = new Set(annotations.map((annotation) => annotation.label));
  $("classes").replaceChildren(...state.classes.map((label) => {
    const button = element("button", { onclick: () => annotate(label) },
      ...(keyOf.has(label) ? [element("kbd", { textContent: keyOf.get(label) })] : []),
      element("span", { textContent: label }),
      element("span", { className: "count", textContent: count(label) || "" }));
    button.classList.toggle("unseen", !count(label));
    if (given.has(label)) button.classList.add(disputed ? "disputed" : "chosen");
    return button;
  }));
}

function review() {
  query = null;
  $("label").hidden = true;
  $("review").hidden = false;
  $("to-label").parentElement.hidden = !state.query;
  $("review-text").textContent = state.pending
    ? "What you labeled so far; choose an image to change its label."
    : "All are labeled. Look them over, choose one to change it; then run `dvc repro`.";
  $("verdict-details").hidden = !state.verdict.length;
  $("verdict").replaceChildren(...state.verdict.map((textContent) => element("li", { textContent })));
  const order = [...state.classes, NOT_SURE, NO_CLASS];
  const sorted = [...state.annotations].sort((a, b) => order.indexOf(a.label) - order.indexOf(b.label));
  $("grid").replaceChildren(...sorted.map(({ position, label }) => {
    const onclick = () => alone(() => choose(position, true));
    const button = element("button", { onclick, title: `${inWords(label)}: change` },
      tile(position), element("span", { textContent: inWords(label) }));
    button.classList.toggle("unusual", label === NOT_SURE || label === NO_CLASS);
    return button;
  }));
}

const toggleReview = () => (query ? review() : state.query && show(state));
$("undo").onclick = undo;
$("not-sure").onclick = () => annotate(NOT_SURE);
$("no-class").onclick = () => annotate(NO_CLASS);
$("to-review").onclick = toggleReview;
$("to-label").onclick = toggleReview;
// Else the next space or Enter would press a button that the mouse has pressed.
document.addEventListener("click", (event) => event.detail && document.activeElement?.blur());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  const actions = {
    Backspace: undo, Delete: () => annotate(NO_CLASS), " ": () => annotate(NOT_SURE), Enter: toggleReview,
  };
  // A button that the keyboard has chosen is pressed by these two.
  const onButton = document.activeElement?.tagName === "BUTTON";
  if (onButton && (event.key === "Enter" || event.key === " ")) return;
  const label = state.classes.find((name) => keyOf.get(name) === event.key.toLowerCase());
  const act = actions[event.key] ?? (label !== undefined && (() => annotate(label)));
  if (!act) return;
  event.preventDefault();
  act();
});

async function start() {
  const first = await call(`state?tab=${tab}`);
  if (!first) return setTimeout(start, RETRY_MILLISECONDS);
  say("");
  assignKeys(first.classes);
  show(first);
}

start();
