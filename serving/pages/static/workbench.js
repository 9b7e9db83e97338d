// The place to try a service: choose a patient, see request, response and card, give feedback.

import { wireCopyButtons } from "./clipboard.js";
import {
  callService, fetchSample, fetchServices, renderAnswer, samplePath, sendFeedback, servicePath,
} from "./exchange.js";
import { describeRequest, describeSize, parsed, pretty, showJson } from "./json_view.js";

const find = (id) => document.getElementById(id);
const page = {
  service: find("service"), samples: find("samples"), request: find("request"), requestSize: find("request-size"),
  send: find("send"), restore: find("restore"), status: find("status"), card: find("card"),
  response: find("response").firstChild, responseSize: find("response-size"),
  callUrl: find("call-url"), curl: find("curl-code"), discoveryUrl: find("discovery-url"),
};

let services = [];
let chosen = null; // the sample whose request was loaded
let turn = 0; // the latest exchange: what arrives of an older one is not shown

start().catch(showFault);

async function start() {
  page.discoveryUrl.textContent = `${location.origin}/cds-services`;
  wireCopyButtons();
  page.service.addEventListener("change", () => chooseService(page.service.value));
  page.request.addEventListener("input", showRequest);
  page.send.addEventListener("click", send);
  page.restore.addEventListener("click", () => chosen && loadSample(chosen).catch(showFault));
  page.card.addEventListener("click", (event) => giveFeedback(event.target.closest("button")));
  for (const radio of document.getElementsByName("language")) {
    radio.addEventListener("change", () => page.request.value && send());
  }
  services = await fetchServices();
  const asked = new URLSearchParams(location.search).get("service");
  const first = services.find((service) => service.id === asked) ?? services[0];
  if (first) {
    page.service.value = first.id;
    chooseService(first.id);
  }
}

function chooseService(id) {
  const { samples } = services.find((service) => service.id === id);
  turn += 1;
  chosen = null;
  page.samples.replaceChildren(...samples.map(sampleChoice));
  if (samples.length === 0) {
    page.samples.replaceChildren(paragraph("note", "This service has no samples: paste a request of your own."));
  }
  page.request.value = "";
  page.restore.disabled = true;
  page.callUrl.textContent = servicePath(id);
  page.curl.textContent = "Choose a patient first.";
  page.requestSize.textContent = "";
  clearAnswer("Choose a patient: the request goes to the service just as an EHR would send it, and the card appears here.");
}

function sampleChoice(sample) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "sample", value: sample.id });
  input.addEventListener("change", () => chooseSample(sample).catch(showFault));
  const title = Object.assign(document.createElement("span"), { className: "sample-title", textContent: sample.title });
  const note = Object.assign(document.createElement("span"), { className: "sample-note", textContent: sample.note });
  const text = Object.assign(document.createElement("span"), { className: "sample-text" });
  text.append(title, note);
  const label = Object.assign(document.createElement("label"), { className: "sample" });
  label.append(input, text);
  return label;
}

async function chooseSample(sample) {
  if (await loadSample(sample)) {
    await send();
  }
}

/** Put a sample's request on the page; false if something else was chosen meanwhile. */
async function loadSample(sample) {
  const mine = (turn += 1);
  const serviceId = page.service.value;
  const text = await fetchSample(serviceId, sample.id);
  if (mine !== turn) {
    return false;
  }
  chosen = sample;
  page.request.value = pretty(asNewCall(text));
  page.request.scrollTop = 0;
  page.restore.disabled = false;
  showRequest();
  return true;
}

/** The request with a hookInstance of its own, which each call of an EHR has. */
function asNewCall(text) {
  const request = parsed(text);
  const hookInstance = crypto.randomUUID?.(); // browsers have it on https and localhost only
  return request?.hookInstance && hookInstance ? JSON.stringify({ ...request, hookInstance }) : text;
}

function showRequest() {
  page.requestSize.textContent = describeRequest(page.request.value);
  if (chosen) {
    const { origin } = location;
    page.curl.textContent = `curl -s ${origin}${samplePath(page.service.value, chosen.id)} |
  curl -s ${origin}${servicePath(page.service.value)} \\
    -H 'Content-Type: application/json' \\
    -H 'Accept-Language: ${language()}' \\
    --data-binary @-`;
  }
}

async function send() {
  const mine = (turn += 1);
  showRequest();
  page.status.textContent = "Waiting for the service …";
  page.card.setAttribute("aria-busy", "true");
  let answer = null;
  try {
    answer = await callService(page.service.value, page.request.value, language());
    const html = await renderAnswer(answer.text, language());
    if (mine === turn) {
      showAnswer(answer);
      showCard(html);
    }
  } catch (error) {
    if (mine === turn) {
      showFault(error);
      if (answer) {
        showAnswer(answer); // what came is shown, even if it is no card: a proxy's page, for example
      }
    }
  } finally {
    page.card.removeAttribute("aria-busy");
  }
}

function showAnswer(answer) {
  const ok = answer.status === 200;
  page.status.className = ok ? "status ok" : "status failed";
  page.status.textContent = `${ok ? "✓" : "✗"} HTTP ${answer.status} ${answer.statusText} · ${answer.milliseconds.toFixed(0)} ms`;
  page.responseSize.textContent = describeSize(answer.text);
  showJson(page.response, pretty(answer.text));
}

function showCard(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // made by /api/render, which escapes every text of the answer
  page.card.replaceChildren(template.content);
  bringIntoView(page.card.parentElement);
}

/** On a phone the answer is below the patients: go there, unless its beginning is seen anyway. */
function bringIntoView(pane) {
  if (pane.getBoundingClientRect().top > innerHeight * 0.6) {
    pane.scrollIntoView({ block: "start" });
  }
}

function clearAnswer(words) {
  page.status.className = "status";
  page.status.textContent = "";
  page.responseSize.textContent = "";
  page.response.textContent = "Nothing was sent yet.";
  page.card.replaceChildren(paragraph("empty", words));
}

function showFault(error) {
  clearAnswer("");
  page.status.className = "status failed";
  page.status.textContent = "✗ No usable answer";
  page.card.replaceChildren(paragraph("fault", `The page could not finish: ${error.message}`));
}

async function giveFeedback(button) {
  if (!button?.dataset.card) {
    return;
  }
  const line = button.closest(".card").querySelector(".feedback-answer");
  const entry = { card: button.dataset.card, outcomeTimestamp: new Date().toISOString() };
  if (button.dataset.suggestion) {
    Object.assign(entry, { outcome: "accepted", acceptedSuggestions: [{ id: button.dataset.suggestion }] });
  } else {
    const reason = { code: button.dataset.code, system: button.dataset.system };
    Object.assign(entry, { outcome: "overridden", overrideReason: { reason } });
  }
  try {
    showFeedback(button, line, entry, await sendFeedback(page.service.value, entry));
  } catch (error) {
    line.textContent = `✗ The feedback did not arrive: ${error.message}`;
  }
}

function showFeedback(button, line, entry, answer) {
  if (answer.status === 200) {
    for (const other of button.closest(".card").querySelectorAll("button[data-card]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    line.textContent = `✓ HTTP 200 · the service took the feedback: ${entry.outcome}`;
  } else {
    const why = parsed(answer.text)?.issue?.[0]?.diagnostics ?? answer.text;
    line.textContent = `✗ HTTP ${answer.status} · ${why}`;
  }
}

function language() {
  return document.querySelector('input[name="language"]:checked').value;
}

function paragraph(className, textContent) {
  return Object.assign(document.createElement("p"), { className, textContent });
}
