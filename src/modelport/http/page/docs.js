"use strict";

// The API reference: reads openapi.json and draws it. Text is only ever set as text.

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

const pretty = (value) => JSON.stringify(value, null, 2);

function resolve(spec, node) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((at, key) => at[key], spec);
}

function nameOf(spec, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.type === "array" && schema.items) return `list of ${nameOf(spec, schema.items)}`;
  return [schema.type || "any"].flat().join(" or ");
}

function schemaTable(spec, schema) {
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const title of ["name", "type", "notes"]) head.append(make("th", "", title));
  const body = table.createTBody();
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const notes = [];
    if ((schema.required || []).includes(name)) notes.push("required");
    if (property.maxLength) notes.push(`at most ${property.maxLength} characters`);
    if (property.examples) notes.push(`such as ${property.examples.map(String).join(", ")}`);
    if (property.description) notes.push(property.description);
    const row = body.insertRow();
    const cell = make("td");
    cell.append(make("code", "", name));
    row.append(cell, make("td", "", nameOf(spec, property)), make("td", "", notes.join("; ")));
  }
  return table;
}

function requestPart(spec, content, box) {
  const schema = resolve(spec, content.schema);
  const record = (schema.oneOf || []).find((form) => form.title === "one record") || schema;
  box.append(make("h3", "", "Request: columns, records, one record, or bare rows of"));
  const scroll = make("div", "scroll");
  scroll.append(schemaTable(spec, record));
  box.append(scroll);
}

function responsePart(operation, box) {
  box.append(make("h3", "", "Responses"));
  const table = make("table");
  for (const [status, response] of Object.entries(operation.responses || {})) {
    const row = table.insertRow();
    const cell = make("td");
    cell.append(make("span", `status ${status < "400" ? "ok" : "no"}`, status));
    const kinds = Object.keys(response.content || {}).join(", ");
    row.append(cell, make("td", "", kinds), make("td", "", response.description));
  }
  box.append(table);
}

async function send(path, method, body, out) {
  out.hidden = false;
  out.textContent = "…";
  try {
    const options = { method: method.toUpperCase() };
    if (body !== null) Object.assign(options, { body, headers: { "content-type": "application/json" } });
    const answer = await fetch(path.slice(1) || "./", options);
    const text = await answer.text();
    const isJson = (answer.headers.get("content-type") || "").includes("json");
    const heads = ["content-type", "x-request-id", "x-model-version", "x-model-form", "server-timing"]
      .filter((name) => answer.headers.get(name))
      .map((name) => `${name}: ${answer.headers.get(name)}`);
    const shown = isJson && text ? pretty(JSON.parse(text)) : text;
    out.textContent = `${answer.status} ${answer.statusText}\n${heads.join("\n")}\n\n${shown.slice(0, 20000)}`;
  } catch (error) {
    out.textContent = error.message;
  }
}

function tryPart(path, method, content, box) {
  box.append(make("h3", "", "Try it"));
  let area = null;
  const row = make("div", "row");
  if (content) {
    const examples = Object.entries(content.examples || {});
    const pick = make("select");
    pick.setAttribute("aria-label", "Example");
    for (const [name] of examples) pick.append(new Option(name));
    area = make("textarea", "body");
    area.rows = 6;
    area.spellcheck = false;
    area.setAttribute("aria-label", "Request body");
    const fill = () => { area.value = examples.length ? JSON.stringify(examples[pick.selectedIndex][1].value) : ""; };
    pick.addEventListener("change", fill);
    fill();
    row.append(pick);
    box.append(row, area);
  }
  const button = make("button", "primary", "Send");
  button.type = "button";
  const out = make("pre", "out");
  out.hidden = true;
  const actions = make("p", "actions");
  actions.append(button);
  button.addEventListener("click", () => send(path, method, area ? area.value : null, out));
  box.append(actions, out);
}

function operationBox(spec, path, method, operation, isOpen) {
  const box = make("details", "op");
  box.open = isOpen;
  const summary = make("summary");
  summary.append(make("span", `verb ${method}`, method.toUpperCase()), make("code", "", path), make("span", "what", operation.summary));
  const body = make("div", "op-body");
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  if (content) requestPart(spec, content, body);
  responsePart(operation, body);
  tryPart(path, method, content, body);
  box.append(summary, body);
  return box;
}

function draw(spec, root) {
  root.replaceChildren(make("h1", "", spec.info.title), make("p", "muted", `${spec.info.description} Version ${spec.info.version}.`));
  const titles = { predict: "Predictions", meta: "What is served", health: "Health", page: "Pages" };
  let isFirst = true;
  for (const tag of spec.tags.map((one) => one.name)) {
    const found = Object.entries(spec.paths).flatMap(([path, methods]) =>
      Object.entries(methods).filter(([, operation]) => operation.tags.includes(tag)).map(([method, operation]) => [path, method, operation]));
    if (!found.length) continue;
    root.append(make("h2", "", titles[tag] || tag));
    for (const [path, method, operation] of found) {
      root.append(operationBox(spec, path, method, operation, isFirst));
      isFirst = false;
    }
  }
  root.append(make("h2", "", "Schemas"));
  for (const [name, schema] of Object.entries(spec.components.schemas)) {
    const box = make("details", "op");
    const summary = make("summary");
    summary.append(make("code", "", name));
    const body = make("div", "op-body");
    body.append(make("pre", "out", pretty(schema)));
    box.append(summary, body);
    root.append(box);
  }
}

const root = document.getElementById("docs");
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => draw(spec, root))
  .catch((error) => root.replaceChildren(make("p", "failed", `openapi.json could not be read: ${error.message}`)));
