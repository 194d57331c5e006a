"use strict";
const N_SHOWN = 3;
const MAX_BYTES = 2 ** 25;  // as the server's
const $ = (id) => document.getElementById(id);

const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const bar = ([label, probability]) =>
  element("p", {}, element("span", { textContent: label }), element("meter", { value: probability }),
    element("span", { className: "count", textContent: `${(100 * probability).toFixed(1)} %` }));

async function classify(file) {
  const image = element("img", { src: URL.createObjectURL(file), alt: file.name });
  const said = element("div", { textContent: "…" });
  $("results").prepend(element("article", {}, image, element("div", {}, element("h2", { textContent: file.name }), said)));
  try {
    if (file.size > MAX_BYTES) throw new Error("larger than 32 MB");
    const response = await fetch("classify", { method: "POST", body: file });
    if (!response.ok) throw new Error(await response.text());
    const { probabilities } = await response.json();
    const ranked = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
    said.replaceChildren(...ranked.slice(0, N_SHOWN).map(bar));
  } catch (error) {
    said.textContent = error.message;
    said.className = "problem";
  }
}

// One after the other: a server has few cores, and a browser few connections.
async function classifyAll(files) {
  for (const file of files) await classify(file);
}

$("files").onchange = () => classifyAll($("files").files);
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => { event.preventDefault(); classifyAll(event.dataTransfer.files); });
