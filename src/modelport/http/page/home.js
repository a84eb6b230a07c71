"use strict";

// The page that tries a model: reads the form, posts columns, shows the answer. Text is only ever set as text.

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

function cell(input) {
  const text = input.value;
  const isNumber = /int|float/.test(input.dataset.type);
  if (input.dataset.shape || isNumber || input.dataset.type === "bool") {
    if (text.trim() === "" && input.dataset.nullable === "true") return null;
    return JSON.parse(text);
  }
  return text;
}

function columns(model) {
  const out = {};
  for (const input of model.querySelectorAll("[data-column]")) {
    input.classList.remove("is-wrong");
    try {
      out[input.dataset.column] = [cell(input)];
    } catch {
      input.classList.add("is-wrong");
      throw new Error(`${input.dataset.column}: "${input.value}" is not a ${input.dataset.type} value`);
    }
  }
  return out;
}

function showCurl(model) {
  let body;
  try {
    body = JSON.stringify(columns(model));
  } catch {
    return;
  }
  const url = new URL(model.dataset.path, document.baseURI).href;
  model.querySelector(".curl").textContent = `curl -s ${quoted(url)} -H 'content-type: application/json' -d ${quoted(body)}`;
}

const shown = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function bars(scores) {
  const box = make("div", "bars");
  const sorted = Object.entries(scores).sort((a, b) => b[1] - a[1]).slice(0, 12);
  for (const [name, score] of sorted) {
    const bar = make("progress");
    bar.max = 1;
    bar.value = score;
    box.append(make("span", "", name), bar, make("span", "num", score.toFixed(4)));
  }
  return box;
}

function showRecord(result, record) {
  const rest = { ...record };
  if ("label" in rest) {
    result.append(make("p", "verdict", shown(rest.label)));
    delete rest.label;
  } else if ("prediction" in rest && typeof rest.prediction === "number") {
    result.append(make("p", "verdict", shown(rest.prediction)));
    delete rest.prediction;
  }
  if (rest.probabilities) {
    result.append(bars(rest.probabilities));
    delete rest.probabilities;
  }
  if (!Object.keys(rest).length) return;
  const table = make("table");
  for (const [name, value] of Object.entries(rest)) {
    const row = table.insertRow();
    row.append(make("td", "", name), make("td", "num", shown(value)));
  }
  result.append(table);
}

function showProblem(result, title, faults) {
  const box = make("div", "failed", title);
  if (faults && faults.length) {
    const list = make("ul");
    for (const fault of faults.slice(0, 10)) list.append(make("li", "", fault.message));
    box.append(list);
  }
  result.append(box);
}

async function predict(model) {
  const result = model.querySelector(".result");
  const button = model.querySelector(".primary");
  result.hidden = false;
  result.replaceChildren();
  button.disabled = true;
  try {
    const body = JSON.stringify(columns(model));
    const began = performance.now();
    const answer = await fetch(model.dataset.path, { method: "POST", headers: { "content-type": "application/json" }, body });
    const text = await answer.text();
    const took = performance.now() - began;
    const value = JSON.parse(text);
    if (!answer.ok) {
      showProblem(result, `${answer.status} · ${value.detail}`, value.faults);
      return;
    }
    showRecord(result, Array.isArray(value) ? value[0] : value);
    result.append(make("p", "facts", `${took.toFixed(1)} ms round trip · server ${answer.headers.get("server-timing") || "?"}`));
    const raw = make("details", "raw");
    raw.append(make("summary", "", "The answer as JSON"), make("pre", "out", JSON.stringify(value, null, 2)));
    result.append(raw);
  } catch (error) {
    showProblem(result, error.message);
  } finally {
    button.disabled = false;
  }
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code); // no clipboard on plain http from another machine
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

for (const model of document.querySelectorAll(".model")) {
  const form = model.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    predict(model);
  });
  form.addEventListener("input", () => showCurl(model));
  form.addEventListener("reset", () => setTimeout(() => showCurl(model)));
  model.querySelector(".copy").addEventListener("click", (event) => copy(event.currentTarget));
  showCurl(model);
}
