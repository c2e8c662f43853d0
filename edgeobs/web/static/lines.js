// The lines of a log that evidence is about: the query for them, and what the log store answers when asked.

import { h } from "./dom.js";
import { inFull } from "./format.js";

/** A disclosure that asks each time it is opened. */
export function linesOf(incident, text, query) {
  const body = h("div", {});
  const details = h("details", {}, h("summary", {}, h("span", {}, "its lines")), body);
  details.addEventListener("toggle", () => details.open && ask(body, incident, text, query));
  return details;
}

async function ask(body, incident, text, query) {
  const asked = h("p", {}, "LogQL ", h("code", {}, query));
  body.replaceChildren(asked, h("p", { class: "faint" }, "asking…"));
  try {
    const answer = await fetch(`api/v1/incidents/${encodeURIComponent(incident)}/lines?text=${encodeURIComponent(text)}`);
    const told = await answer.json();
    if (!answer.ok) throw new Error(String(told.detail));
    const lines = told.lines.map((line) => `${inFull(line.time_s)}  ${line.text}\n`);
    body.replaceChildren(asked, lines.length ? h("pre", { tabindex: "0" }, lines) : h("p", { class: "faint" }, "the log store has none of this time"));
  } catch (error) {
    body.replaceChildren(asked, h("p", { class: "faint" }, `no lines: ${error.message}`));
  }
}
