"use strict";
// Send scans, follow the queue, show one result. Every request goes to the server that sent this page.

const token = new URLSearchParams(location.search).get("token") || "";
const find = (id) => document.getElementById(id);
const planes = new Planes(find("planes"));
const STEPS = {
  read: ["reading", 0.05], mask: ["finding the brain", 0.1], clean: ["removing noise and bias field", 0.35],
  transform: ["laying it on the template", 0.6], score: ["asking the model", 0.85], draw: ["drawing its page", 0.95],
};
const findings = document.body.dataset.task === "findings";
const risks = document.body.dataset.task === "time_to_event";
let thresholds = {}; // of findings
let scans = []; // as the server lists them
let sending = []; // uploads on their way or before it: {name, begun, share, error}
let lastUpload = Promise.resolve(); // one at a time, so that the queue keeps the order in which they were chosen
let chosen = null;
let polling = false;

function say(words) {
  find("status").textContent = words;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error || `The server answered ${answer.status}.`);
  }
  return answer;
}

// ------------------------------------------------------------------ sending
function send(upload, file) {
  upload.begun = true;
  drawQueue();
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far an upload is
    request.open("POST", `api/v1/scans?name=${encodeURIComponent(file.name)}${upload.earlier}`);
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => {
      upload.share = event.total ? event.loaded / event.total : 0;
      drawQueue();
    });
    request.addEventListener("loadend", () => {
      let said = {};
      try {
        said = JSON.parse(request.responseText);
      } catch {
        said = {};
      }
      if (request.status === 202) {
        sending = sending.filter((one) => one !== upload);
        say(`${file.name} is in the queue.`);
        refresh();
      } else {
        upload.error = said.error || "The upload did not arrive.";
        say(`${file.name}: ${upload.error}`);
      }
      drawQueue();
      resolve(); // one that was refused does not stop the others
    });
    request.send(file);
  });
}

function sendAll(files) {
  const wrong = wrongEarlier(files.length);
  if (wrong) {
    say(wrong); // a time that was not understood must not make it another person's scan
    return;
  }
  const earlier = takeEarlier();
  for (const file of files) {
    const upload = { name: file.name, begun: false, share: 0, error: null, earlier };
    sending.push(upload);
    lastUpload = lastUpload.then(() => send(upload, file));
  }
  drawQueue();
}

// ------------------------------------------------------------------ earlier scans of a person, where the adapter reads several
function drawEarlier() {
  if (!find("visits")) return;
  const done = scans.filter((one) => one.state === "done");
  const kept = new Map([...find("earlier").children].map((row) => [row.dataset.scan, row]));
  const rows = done.map((one) => {
    if (kept.has(one.id)) return kept.get(one.id); // what was typed stays
    const row = document.createElement("label");
    row.dataset.scan = one.id;
    const years = document.createElement("input");
    Object.assign(years, { type: "number", min: 0.001, max: 30, step: "any" });
    row.append(`${one.scan}: `, years, " years before");
    return row;
  });
  find("earlier").replaceChildren(...rows);
  find("visits").hidden = !rows.length;
}

function wrongEarlier(count) {
  if (!find("visits")) return "";
  const fields = [...find("earlier").querySelectorAll("input")];
  const wrong = fields.find((one) => !one.checkValidity());
  if (wrong) {
    wrong.focus();
    return "Years before the last scan: a number above 0 and at most 30, such as 1.5. Nothing was sent.";
  }
  const said = fields.some((one) => one.value);
  return said && count > 1 ? "Earlier scans belong to one scan: send that one alone. Nothing was sent." : "";
}

function takeEarlier() {
  if (!find("visits")) return "";
  const said = [];
  for (const row of find("earlier").children) {
    const years = row.querySelector("input");
    if (years.value) said.push(`${row.dataset.scan}:${years.value}`);
    years.value = "";
  }
  return said.length ? `&earlier=${said.join(",")}` : "";
}

// ------------------------------------------------------------------ the queue
async function refresh() {
  if (polling) return;
  polling = true;
  try {
    do {
      const before = new Map(scans.map((one) => [one.id, one.state]));
      const said = await (await ask("api/v1/scans")).json();
      scans = said.scans;
      showDrift(said.drift);
      drawEarlier();
      drawQueue();
      for (const one of scans) {
        if (before.get(one.id) !== one.state && one.state === "done") {
          say(`${one.scan} is done.`);
          if (chosen === null) await choose(one.id);
        }
        if (before.get(one.id) !== one.state && one.state === "failed") say(`${one.scan}: ${one.error}`);
      }
      if (chosen && !scans.some((one) => one.id === chosen)) close();
      if (!scans.some((one) => one.state === "waiting" || one.state === "working")) break;
      await new Promise((resolve) => setTimeout(resolve, 600));
    } while (true);
  } catch (error) {
    say(error.message);
  } finally {
    polling = false;
  }
}

function queueWords(one) {
  if (one.state === "done") {
    const possible = Array.isArray(one.set) && one.set.length > 1 ? ` (possible: ${one.set.join(" or ")})` : "";
    return one.predicted === null ? one.verdict : `${one.verdict.split(":")[0]}: ${one.predicted}${possible}`;
  }
  if (one.state === "failed") return "failed";
  if (one.state === "waiting") return one.ahead ? `${one.ahead} before it` : "next";
  const [words] = STEPS[one.step] || ["beginning"];
  return `${words}, ${Math.round(one.seconds || 0)} s`;
}

function entry(name, words, share, error) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  const scan = document.createElement("span");
  scan.className = "scan";
  scan.textContent = name;
  const state = document.createElement("span");
  state.textContent = words;
  button.append(scan, state);
  if (share !== null) {
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = share;
    bar.setAttribute("aria-label", `${name}: ${words}`);
    button.append(bar);
  }
  if (error) {
    const why = document.createElement("span");
    why.className = "why";
    why.textContent = error;
    button.append(why);
  }
  item.append(button);
  return [item, button];
}

function showDrift(drift) {
  find("drift").textContent = drift.state === "not known" ? "" : drift.sentence;
  find("drift").className = drift.state === "drift" ? "fail" : "soft";
}

function drawQueue() {
  const focused = document.activeElement && document.activeElement.dataset.id;
  const items = sending.map((one) => {
    const words = one.error ? "refused" : one.begun ? `sending, ${Math.round(100 * one.share)}%` : "to be sent";
    const [item, button] = entry(one.name, words, one.error ? null : one.share, one.error);
    button.disabled = true;
    return item;
  });
  for (const one of [...scans].reverse()) {
    const share = one.state === "working" ? (STEPS[one.step] || ["", 0.02])[1] : one.state === "waiting" ? 0 : null;
    const [item, button] = entry(one.scan, queueWords(one), share, one.error);
    button.dataset.id = one.id;
    button.setAttribute("aria-pressed", String(one.id === chosen));
    button.disabled = one.state !== "done";
    button.addEventListener("click", () => choose(one.id, true));
    items.push(item);
  }
  find("queue").replaceChildren(...items);
  if (focused) document.querySelector(`[data-id="${focused}"]`)?.focus();
}

// ------------------------------------------------------------------ one result
function close() {
  chosen = null;
  find("result").hidden = true;
}

async function choose(id, byHand = false) {
  try {
    const result = await (await ask(`api/v1/scans/${id}/result`)).json();
    const bytes = new Uint8Array(await (await ask(`api/v1/scans/${id}/volume`)).arrayBuffer());
    chosen = id;
    find("result").hidden = false;
    find("target").value = "";
    if (find("biomarker")) find("biomarker").value = "";
    showResult(result);
    planes.show(bytes, result.view.shape, result.view.spacing);
    await showMap();
    drawQueue();
    if (byHand) find("name").focus();
  } catch (error) {
    say(error.message);
  }
}

function showResult(result) {
  find("name").textContent = result.scan;
  const banners = [result.verdict];
  find("banners").replaceChildren(...banners.map((words) => {
    const banner = document.createElement("p");
    banner.className = `verdict ${result.verdict === "answer" ? "pass" : result.verdict.startsWith("no answer") ? "fail" : "warn"}`;
    banner.setAttribute("role", "note");
    banner.textContent = words;
    return banner;
  }));
  const answered = !result.verdict.startsWith("no answer");
  const lead = !answered ? "No answer" : findings ? `Called: ${result.predicted}` : result.predicted === null ? "" : `${risks ? "Expected" : "Nearest"}: ${result.predicted}`;
  find("headline").textContent = answered ? [lead, mmseWords(result)].filter(Boolean).join("; ") : lead;
  const rows = Object.entries(result.probabilities).map(([name, value]) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    const number = document.createElement("td");
    number.className = "n";
    const called = answered && findings && value >= (thresholds[name] ?? 0.5);
    number.textContent = called ? `${value.toFixed(3)}, called` : value.toFixed(3);
    const cell = document.createElement("td");
    const meter = document.createElement("meter");
    meter.max = 1;
    meter.value = value;
    meter.setAttribute("aria-label", `${name} ${value.toFixed(3)}`);
    cell.append(meter);
    row.append(head, number, cell);
    return row;
  });
  document.querySelector("#chances tbody").replaceChildren(...rows);
  const lines = [];
  if (!findings && result.confidence !== null) lines.push(["Confidence", result.confidence.toFixed(2), ""]);
  if (result.mmse_interval) lines.push(["MMSE interval", result.mmse_interval.map((one) => one.toFixed(1)).join(" to ") + " points", ""]);
  if (result.distance !== null) lines.push(["Like the training scans", result.unlike_training ? "no" : "yes", ""]);
  const promised = result.prediction_set;
  if (promised) lines.push([`${promised.bound ? "Promised" : "Possible"} at ${Math.round(100 * promised.coverage)}%`, `${setWords(promised)}. ${promised.guarantee}`, ""]);
  if (result.discoveries) lines.push(["Said to be there", `${result.discoveries.said.join(", ") || "none"}. ${result.discoveries.guarantee}`, ""]);
  for (const one of result.visits?.earlier ?? []) {
    const why = one.left_out ?? result.visits.unused;
    lines.push(["Earlier scan", `${one.scan}, ${one.years.toFixed(2)} years before${why ? `: not read, ${why}` : ""}`, ""]);
  }
  lines.push(["Quality", [result.quality, ...result.reasons].join("; "), ""]);
  find("caveats").replaceChildren(...lines.flatMap(([term, words, kind]) => {
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    dt.textContent = term;
    dd.textContent = words;
    dd.className = kind;
    return [dt, dd];
  }));
  const link = find("download");
  link.href = `api/v1/scans/${result.id}/page?download=1&token=${encodeURIComponent(token)}`;
}

function setWords(promised) {
  const numbers = Object.entries(promised.intervals).map(([name, ends]) => `${name === "mmse" ? "MMSE" : name} ${ends.map((one) => one.toFixed(1)).join(" to ")}`);
  const members = promised.bound ? [promised.bound] : Array.isArray(promised.members) ? [promised.members.join(" or ")] : Object.entries(promised.members).filter(([, said]) => said !== "not there").map(([name, said]) => `${name} ${said}`);
  return [...members, ...numbers].filter(Boolean).join("; ") || "no finding";
}

function mmseWords(result) {
  if (result.mmse === null) return result.mmse_note || "";
  return `MMSE ${result.mmse.toFixed(1)} of 30`;
}

async function showMap() {
  const target = find("target").value;
  const biomarker = find("biomarker");
  if (biomarker) biomarker.disabled = target === "" || target === "mmse";
  if (!target) {
    planes.setHeat(null);
    find("meaning").textContent = "";
    return;
  }
  const asked = new URLSearchParams({ target });
  if (biomarker && !biomarker.disabled && biomarker.value) asked.set("biomarker", biomarker.value);
  find("meaning").textContent = "Making the heat map…";
  const id = chosen;
  try {
    const said = await (await ask(`api/v1/scans/${id}/map?${asked}`)).json();
    const bytes = new Uint8Array(await (await ask(`api/v1/scans/${id}/map/voxels?${asked}`)).arrayBuffer());
    if (id !== chosen || find("target").value !== target) return;
    planes.setHeat(bytes);
    find("meaning").textContent = `${said.title}. ${said.meaning} It shows what moved the model, not what is wrong with a person.`;
  } catch (error) {
    planes.setHeat(null);
    find("meaning").textContent = error.message;
  }
}

// ------------------------------------------------------------------ hands
const drop = find("drop");
find("file").addEventListener("change", (event) => {
  sendAll(event.target.files);
  event.target.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
drop.addEventListener("drop", (event) => sendAll(event.dataTransfer.files));
find("target").addEventListener("change", showMap);
find("biomarker")?.addEventListener("change", showMap);
find("opacity").addEventListener("input", (event) => planes.setOpacity(Number(event.target.value) / 100));
find("delete").addEventListener("click", async () => {
  try {
    await ask(`api/v1/scans/${chosen}`, { method: "DELETE" });
    say("Deleted.");
    close();
    await refresh();
    find("file").focus();
  } catch (error) {
    say(error.message);
  }
});
ask("api/v1/adapter")
  .then((answer) => answer.json())
  .then((facts) => {
    thresholds = facts.thresholds || {};
  })
  .catch((error) => say(error.message));
refresh();
