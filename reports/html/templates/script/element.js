"use strict";
// Elements are made by hand and texts set as text: nothing from a model or a case is ever read as markup.

/** An element with attributes and children; a text among the children stays a text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {}))
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const SIGNS = { passed: "✓", failed: "✗", errored: "!", unscored: "?", graded: "•", skipped: "–" };

const drawOutcome = (word) =>
  make("span", { class: `outcome ${word}` }, make("span", { "aria-hidden": "true" }, SIGNS[word] ?? ""), ` ${word}`);

const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** The JSON value of one element with data. */
async function unpacked(element) {
  const text = atob(element.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
