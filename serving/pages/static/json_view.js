// JSON for people: pretty text, quiet colours, a summary of a request in one line.

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** The text with two spaces of indentation, or as it came if it is no JSON. */
export function pretty(text) {
  const value = parsed(text);
  return value === undefined ? text : JSON.stringify(value, null, 2);
}

/** The value, or undefined if the text is no JSON. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Show JSON in an element, each token in a span. Text enters as text, never as HTML. */
export function showJson(element, text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    nodes.push(text.slice(end, match.index), token(match));
    end = match.index + match[0].length;
  }
  element.replaceChildren(...nodes, text.slice(end));
}

function token([all, string, colon]) {
  const span = document.createElement("span");
  span.className = colon === undefined ? (string === undefined ? "json-value" : "json-string") : "json-key";
  span.textContent = all;
  return span;
}

/** One line about a request: its hook, what its prefetch holds, its size. */
export function describeRequest(text) {
  const request = parsed(text);
  if (request === undefined) {
    return `no valid JSON · ${describeSize(text)}`;
  }
  const counts = new Map();
  for (const value of Object.values(request?.prefetch ?? {})) {
    for (const resource of value?.entry?.map((entry) => entry?.resource) ?? [value]) {
      const type = resource?.resourceType ?? "null";
      counts.set(type, (counts.get(type) ?? 0) + 1);
    }
  }
  const held = [...counts].map(([type, count]) => `${count} × ${type}`);
  return [...held, describeSize(text)].join(" · ");
}

/** The size of a text in UTF-8. */
export function describeSize(text) {
  const bytes = new TextEncoder().encode(text).length;
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}
