// Renders /openapi.json. Everything is set as text: names and comments are data, never markup.
"use strict";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function referenceName(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : "";
}

function typeOf(schema) {
  if (!schema) return ["anything"];
  if (schema.$ref) return [element("a", { href: `#schema-${referenceName(schema)}` }, referenceName(schema))];
  if (schema.type === "array") return ["array of ", ...typeOf(schema.items)];
  if (schema.oneOf) return schema.oneOf.flatMap((one, index) => (index ? [" or ", ...typeOf(one)] : typeOf(one)));
  if (schema.enum) return [schema.enum.join(" | ")];
  return [schema.format ? `${schema.type} (${schema.format})` : schema.type || "anything"];
}

function table(headings, rows) {
  const head = element("tr", {}, ...headings.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, ...cell))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

function fieldTable(schema) {
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([name, field]) => [
    [element("code", {}, name)],
    [...typeOf(field), required.has(name) ? "" : " · optional"],
    [field.description || ""],
  ]);
  return rows.length ? table(["Field", "Type", "Meaning"], rows) : element("p", { class: "muted" }, "No fields.");
}

function mediaTypes(content) {
  const parts = [];
  for (const [type, { schema }] of Object.entries(content || {})) {
    parts.push(parts.length ? "; " : "", element("code", {}, type), " ", ...typeOf(schema));
  }
  return parts;
}

function operationBlock(path, method, operation) {
  const title = element("h3", {}, element("span", { class: "method" }, method.toUpperCase()), element("span", { class: "path" }, path));
  const block = element("section", { class: "operation", id: operation.operationId }, title);
  block.append(element("p", {}, operation.description || operation.summary || ""));
  if (operation.parameters && operation.parameters.length) {
    const rows = operation.parameters.map((parameter) => [
      [element("code", {}, parameter.name)],
      [...typeOf(parameter.schema), ` · ${parameter.in}`, parameter.required ? "" : " · optional"],
      [parameter.description || ""],
    ]);
    block.append(table(["Parameter", "Type", "Meaning"], rows));
  }
  if (operation.requestBody) block.append(element("p", {}, "Body: ", ...mediaTypes(operation.requestBody.content)));
  for (const [status, answer] of Object.entries(operation.responses || {})) {
    const content = mediaTypes(answer.content);
    const what = answer.$ref ? ["an ", element("a", { href: "#schema-Error" }, "Error")] : [answer.description, " ", ...content];
    block.append(element("p", { class: "muted" }, status === "default" ? "otherwise" : status, ": ", ...what));
  }
  return block;
}

function render(document_) {
  const [contents, operations, schemas] = ["contents", "operations", "schemas"].map((id) => document.getElementById(id));
  document.getElementById("title").textContent = `${document_.info.title} ${document_.info.version}`;
  document.getElementById("introduction").textContent = document_.info.description;
  const lists = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = (operation.tags || ["Other"])[0];
      if (!lists.has(tag)) {
        lists.set(tag, element("ul"));
        contents.append(element("h3", {}, tag), lists.get(tag));
        operations.append(element("h2", {}, tag));
      }
      const link = element("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`);
      lists.get(tag).append(element("li", {}, link));
      operations.append(operationBlock(path, method, operation));
    }
  }
  for (const [name, schema] of Object.entries(document_.components.schemas)) {
    const block = element("section", { class: "schema", id: `schema-${name}` }, element("h3", {}, name));
    block.append(element("p", {}, schema.description || ""), fieldTable(schema));
    schemas.append(block);
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  for (const block of document.querySelectorAll(".operation, .schema")) {
    const text = block.textContent.toLowerCase();
    block.hidden = !wanted.every((word) => text.includes(word));
  }
}

document.getElementById("search").addEventListener("input", (event) => search(event.target.value));

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`HTTP ${answer.status}`))))
  .then(render)
  .catch((error) => {
    document.getElementById("introduction").textContent = `The OpenAPI document could not be loaded: ${error.message}`;
  });
