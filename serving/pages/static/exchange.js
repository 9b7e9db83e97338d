// What the page says to the server and what comes back. Services are called as an EHR calls them.

/** What the page needs to know of the services: [{id, title, hooks, samples: [{id, title, note}], …}]. */
export async function fetchServices() {
  return (await expectOk(await fetch("/api/services"))).json();
}

/** Where a sample's request lies on the server. */
export function samplePath(serviceId, sampleId) {
  return `/api/samples/${encodeURIComponent(serviceId)}/${encodeURIComponent(sampleId)}`;
}

/** The JSON text of a sample's request. */
export async function fetchSample(serviceId, sampleId) {
  return (await expectOk(await fetch(samplePath(serviceId, sampleId)))).text();
}

/** Send a request to a service: {status, statusText, text, milliseconds}, whatever the status. */
export function callService(serviceId, body, language) {
  return post(servicePath(serviceId), body, { "Accept-Language": language });
}

/** Where a service is called. */
export function servicePath(serviceId) {
  return `/cds-services/${encodeURIComponent(serviceId)}`;
}

/** Send what was done with one card; the answer is that of `callService`. */
export function sendFeedback(serviceId, entry) {
  return post(`${servicePath(serviceId)}/feedback`, JSON.stringify({ feedback: [entry] }), {});
}

/** Safe HTML of an answer of a service. */
export async function renderAnswer(text, language) {
  const answer = await post("/api/render", text, { "Accept-Language": language });
  if (answer.status !== 200) {
    throw new Error(answer.text);
  }
  return answer.text;
}

async function post(path, body, headers) {
  const started = performance.now();
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body,
  });
  const text = await response.text();
  const milliseconds = performance.now() - started;
  return { status: response.status, statusText: response.statusText, text, milliseconds };
}

async function expectOk(response) {
  if (!response.ok) {
    throw new Error(`${response.status} ${await response.text()}`);
  }
  return response;
}
