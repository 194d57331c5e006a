"use strict";
const NOT_SURE = "?", NO_CLASS = "!";
const KEYS = [..."1234567890abcdefghijklmnopqrstuvwxyz"];
const SMALL_PIXELS = 100;
const RETRY_MILLISECONDS = 2000;
const $ = (id) => document.getElementById(id);
// A tab keeps its name when it is loaded anew, and with it the image that it was asked about.
const tab = (sessionStorage.tab ??= crypto.randomUUID());
let state = null;      // what the server said last
let question = null;   // the image shown, and `seen`, when its answers were given
let visible = false;   // whether it has loaded: nobody labels what is not there to be seen
let busy = false;
let keys = new Map();  // key -> class
const history = [];    // what this tab answered: position, label before, and when it answered; or what it settled

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const magnified = ({ target }) => target.classList.toggle("small", target.naturalWidth < SMALL_PIXELS);
const tile = (position) =>
  element("img", { src: `tile/${position}`, alt: `image ${position}`, loading: "lazy", onload: magnified });
const name = (label) => ({ [NOT_SURE]: "not sure", [NO_CLASS]: "no class" })[label] ?? label;
const answerOf = (position) => state.answers.find((answer) => answer.position === position);

// A class that is called as a key is, such as a digit, has that key; the others have the next free.
function assignKeys(classes) {
  keys = new Map();
  for (const label of classes) {
    const own = label.toLowerCase();
    if (KEYS.includes(own) && !keys.has(own)) keys.set(own, label);
  }
  const free = KEYS.filter((key) => !keys.has(key));
  const named = new Set(keys.values());
  for (const label of classes) if (!named.has(label) && free.length) keys.set(free.shift(), label);
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

// Returns what the server answers, or null after it was said what is wrong.
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, tab }),
  };
  try {
    const response = await fetch(path, options);
    if (response.ok) return await response.json();
    if (response.status === 409) {
      const { theirs } = await response.json();
      const what = theirs.length ? `labeled it ${theirs.map(name).join(" and ")}` : "took the label back";
      say(`Somebody else ${what} meanwhile; nothing was overwritten.`);
    } else if (response.status === 403) {
      say("The server was started anew; open the address that `make label` printed.");
    } else if (response.status === 503) {
      say(`Nothing was saved. ${await response.text()}`);
    } else {
      say(`The server refused: ${await response.text()}`);
    }
  } catch {
    say("The server does not answer. What you labeled is saved; run `make label` again to go on.");
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
  const next = await ask("answer", { position, label, seen });
  if (next) say("");
  const now = next ?? (await ask(`state?tab=${tab}`));
  if (now) show(now);
  return Boolean(next);
}

const answer = (label) => alone(async () => {
  if (!question || !visible) return;
  const { position, seen, fromReview, contradiction } = question;
  const before = answerOf(position)?.label ?? null;
  const settled = Boolean(contradiction?.length);
  if (await save(position, label, seen)) history.push({ position, before, settled, seen: answerOf(position).seen });
  if (fromReview) review();
});

const undo = () => alone(async () => {
  const last = history.pop();
  // What was settled is only asked again: to take it back would lose what others said.
  if (last && (last.settled || (await save(last.position, last.before, last.seen)))) {
    await choose(last.position, answerOf(last.position)?.seen ?? []);
  }
});

async function choose(position, seen, fromReview = false) {
  const shown = await ask(`question/${position}`);
  if (shown) showQuestion({ ...shown, seen, fromReview });
}

function show(next) {
  state = next;
  const done = Math.max(0, state.budget - state.left);
  const progress = $("bar").parentElement;
  $("bar").style.width = `${(100 * done) / state.budget}%`;
  progress.ariaValueNow = done;
  progress.ariaValueMax = state.budget;
  $("progress").textContent = `${done} of ${state.budget} answered, ${state.left} left`;
  const seen = new Set(state.answers.map((answer) => answer.label));
  const unseen = state.classes.filter((label) => !seen.has(label));
  $("unseen").textContent = unseen.length ? `not yet seen: ${unseen.join(", ")}` : "every class has been seen";
  for (const position of state.upcoming) new Image().src = `image/${position}`;
  if (state.question) showQuestion(state.question);
  else review();
}

function showQuestion(shown) {
  question = shown;
  $("review").hidden = true;
  $("label").hidden = false;
  visible = false;
  $("image").removeAttribute("src");  // else the last image would be seen until this one is there
  $("image").onload = (event) => { magnified(event); visible = true; };
  $("image").alt = `image ${shown.position}`;
  $("image").src = `image/${shown.position}`;
  $("caption").textContent = `${shown.name} · stands for ${shown.cluster_size.toLocaleString("en")} images`;
  for (const side of ["nearest", "farthest"]) {
    $(side).replaceChildren(...shown[side].map(tile));
    $(side).parentElement.hidden = !shown[side].length;
  }
  const said = shown.contradiction ?? [];
  const disputed = new Set(said.map(({ label }) => label));
  $("contradiction").hidden = !said.length;
  $("contradiction").textContent = `People disagree: ${said.map(({ label, by }) => `${name(label)} by ${by}`).join(", ")}.`
    + " Your answer replaces these.";
  const current = answerOf(shown.position)?.label;
  const keyOf = new Map([...keys].map(([key, label]) => [label, key]));
  $("classes").replaceChildren(...state.classes.map((label) => {
    const count = state.answers.filter((answer) => answer.label === label).length;
    const button = element("button", { onclick: () => answer(label) },
      ...(keyOf.has(label) ? [element("kbd", { textContent: keyOf.get(label) })] : []),
      element("span", { textContent: label }),
      element("span", { className: "count", textContent: count || "" }));
    button.classList.toggle("unseen", !count);
    button.classList.toggle("chosen", label === current);
    button.classList.toggle("disputed", disputed.has(label));
    return button;
  }));
}

function review() {
  question = null;
  $("label").hidden = true;
  $("review").hidden = false;
  $("to-label").parentElement.hidden = !state.question;
  $("review-text").textContent = state.left
    ? "What you answered so far; choose an image to change its label."
    : "All are answered. Look them over, choose one to change it; then run `dvc repro`.";
  const order = [...state.classes, NOT_SURE, NO_CLASS];
  const sorted = [...state.answers].sort((a, b) => order.indexOf(a.label) - order.indexOf(b.label));
  $("grid").replaceChildren(...sorted.map(({ position, label, seen }) => {
    const onclick = () => alone(() => choose(position, seen, true));
    const button = element("button", { onclick, title: `${name(label)}: change` },
      tile(position), element("span", { textContent: name(label) }));
    button.classList.toggle("unusual", label === NOT_SURE || label === NO_CLASS);
    return button;
  }));
}

const toggleReview = () => (question ? review() : state.question && show(state));
$("undo").onclick = undo;
$("not-sure").onclick = () => answer(NOT_SURE);
$("no-class").onclick = () => answer(NO_CLASS);
$("to-review").onclick = toggleReview;
$("to-label").onclick = toggleReview;
// Else the next space or Enter would press a button that the mouse has pressed.
document.addEventListener("click", (event) => event.detail && document.activeElement?.blur());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  const actions = {
    Backspace: undo, Delete: () => answer(NO_CLASS), " ": () => answer(NOT_SURE), Enter: toggleReview,
  };
  // A button that the keyboard has chosen is pressed by these two.
  const onButton = document.activeElement?.tagName === "BUTTON";
  if (onButton && (event.key === "Enter" || event.key === " ")) return;
  const label = keys.get(event.key.toLowerCase());
  const act = actions[event.key] ?? (label !== undefined && (() => answer(label)));
  if (!act) return;
  event.preventDefault();
  act();
});

async function start() {
  const first = await ask(`state?tab=${tab}`);
  if (!first) return setTimeout(start, RETRY_MILLISECONDS);
  say("");
  assignKeys(first.classes);
  show(first);
}

start();
