"use strict";
// What the server tells by events, put where it belongs. Text goes in as text, never as HTML.

const texts = JSON.parse(document.body.dataset.texts);
const at = id => document.getElementById(id);
const put = (id, text) => { if (at(id).textContent !== String(text)) at(id).textContent = text; };
const figure = value => (value === null || value === undefined ? "–" : value.toPrecision(4));
const MARKS = { PASS: "✓", REJECT: "✕", FAULT: "!" };
const STATE_MARKS = { ready: "●", running: "●", degraded: "▲", fault: "■", "self-test": "◌", starting: "◌", stopped: "○" };
const trend = new Trend(at("trend"), texts);
let records = null, status = null, shown = null, wanted = null, heat = true, loading = false;

function alertOf(kind, mark, title, lines) {
  const note = document.createElement("div");
  note.className = `note ${kind}`;
  const head = document.createElement("b");
  head.textContent = `${mark} ${title}`;
  note.append(head);
  for (const line of lines.filter(Boolean)) {
    const text = document.createElement("div");
    text.textContent = line;
    note.append(text);
  }
  return note;
}

function remedy(what) {
  // What a companion says of itself begins with its name: "plant mqtt".
  return texts[`remedy_${what.replaceAll(" ", "_")}`] || texts[`remedy_${what.split(" ")[0]}`] || texts.remedy_other;
}

function showAlerts(connected) {
  const notes = [];
  if (!connected) notes.push(alertOf("bad", "✕", texts.js_no_connection, [texts.js_tries_again]));
  else if (status && !status.running) notes.push(alertOf("bad", "✕", texts.js_not_running, [status.message]));
  else if (status) {
    for (const [what, why] of Object.entries(status.faults)) notes.push(alertOf("bad", "■", `${texts.state_fault}: ${what}`, [why, remedy(what)]));
    for (const [what, why] of Object.entries(status.weaknesses)) notes.push(alertOf("warning", "▲", what, [why, remedy(what)]));
    if (status.drift) notes.push(alertOf("warning", "▲", texts.js_drift, [status.drift]));
    if (status.lines && !status.lines.startsWith("lines:")) notes.push(alertOf("warning", "▲", status.lines, []));
    if (status.lost) notes.push(alertOf("warning", "▲", texts.js_lost.replace("{count}", status.lost), []));
  }
  const before = [...at("alerts").children].map(one => one.textContent).join("\n");
  if (before !== notes.map(one => one.textContent).join("\n")) at("alerts").replaceChildren(...notes);
}

function showRelease() {
  const release = at("release"), why = status && status.running ? status.faults["line stop"] : "";
  if (!release) return;  // not for this role
  release.hidden = !why;
  release.elements.seen.value = why || "";
}

if (at("release")) at("release").addEventListener("submit", event => {
  // A second click would be told that there is nothing to release. Not for good: the first may never have arrived.
  const button = event.submitter;
  button.disabled = true;
  setTimeout(() => { button.disabled = false; }, 3000);
});

function showVerdict() {
  const running = status && status.running, verdict = running ? status.verdict : null;
  const judged = verdict && !["starting", "self-test", "stopped"].includes(status.state);
  // A fault of the line outlasts the last part's verdict.
  const outcome = running && status.state === "fault" ? "FAULT" : judged ? verdict.outcome : "none";
  at("verdict").dataset.outcome = outcome;
  put("mark", MARKS[outcome] || "…");
  put("word", outcome === "none" ? (running ? texts[`state_${status.state}`] : texts.js_not_running) : texts[`outcome_${outcome}`]);
  put("reason", judged ? verdict.reason : "");
  put("part", verdict ? verdict.part_id : "–");
  put("score", figure(running && status.scores ? status.scores.score : null));
  put("threshold", figure(verdict ? verdict.threshold : running ? status.product.threshold : null));
  put("state", running ? texts[`state_${status.state}`] : "–");
  put("state-mark", running ? STATE_MARKS[status.state] || "○" : "○");
  if (running) {
    put("product", `${status.product.recipe || status.product.model_id} · ${status.product.precision}`);
    put("calibration", status.product.calibration_serial);
    at("calibration").title = status.product.promise;
    at("camera").title = status.camera;
    put("camera", status.camera);
  }
}

function showCounts() {
  const there = records && records.there;
  if (!there && !(status && status.running)) return;
  const counts = there ? records.counts : status.since_start;
  const all = counts.PASS + counts.REJECT + counts.FAULT;
  put("counts-title", there ? texts.js_shift_since.replace("{time}", records.since) : texts.js_since_start);
  put("count-all", all);
  for (const name of ["PASS", "REJECT", "FAULT"]) put(`count-${name}`, counts[name]);
  put("yield", all ? `${(100 * counts.PASS / all).toFixed(2)} %` : "–");
  const latency = there ? records.latency_ms : {};
  put("latency", latency.parts ? `${latency.median.toFixed(0)} ms` : "–");
  at("latency").title = latency.parts ? `≤ ${latency.most.toFixed(0)} ms (${latency.parts})` : "";
}

function showRejects() {
  const rejects = records && records.there ? records.rejects : [];
  at("no-rejects").hidden = rejects.length > 0;
  const key = rejects.map(one => `${one.part_id} ${one.outcome} ${one.picture}`).join();
  if (at("rejects").dataset.key === key) return;
  at("rejects").dataset.key = key;
  at("rejects").replaceChildren(...rejects.map(one => {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = `/history/${one.part_id}`;
    if (one.picture) {
      const picture = document.createElement("img");
      picture.src = `/history/${one.part_id}/picture?heat=true`;
      picture.alt = "";
      picture.loading = "lazy";
      link.append(picture);
    } else {
      const none = document.createElement("span");
      none.textContent = "–";
      link.append(none);
    }
    const head = document.createElement("span"), why = document.createElement("span");
    head.textContent = `${MARKS[one.outcome]} ${texts[`outcome_${one.outcome}`]} · ${one.part_id} · ${one.time}`;
    why.className = "why";
    why.textContent = one.reason;
    link.append(head, why);
    item.append(link);
    return item;
  }));
}

function showPicture() {
  // The next one is fetched when the last has come: a slow link misses pictures instead of queueing them.
  if (loading || !wanted || (shown && shown.part_id === wanted.part_id && shown.heat === heat)) return;
  const next = { part_id: wanted.part_id, heat };
  if (!wanted.there) {
    shown = next;
    at("picture").hidden = true;
    at("no-picture").hidden = false;
    return;
  }
  loading = true;
  const picture = new Image();
  picture.onload = () => {
    at("picture").src = picture.src;
    at("picture").hidden = false;
    at("no-picture").hidden = true;
    put("picture-part", `${texts.js_part} ${next.part_id}`);
    loading = false; shown = next; showPicture();
  };
  picture.onerror = () => { loading = false; shown = next; };
  picture.src = `/live/picture/${next.part_id}?heat=${heat}`;
}

at("heat").addEventListener("click", () => {
  heat = !heat;
  at("heat").setAttribute("aria-pressed", String(heat));
  showPicture();
});

function listen(event, take) {
  source.addEventListener(event, message => take(JSON.parse(message.data)));
}
const source = new EventSource("/live/events");
listen("status", content => { status = content; showVerdict(); showCounts(); showAlerts(true); showRelease(); });
listen("records", content => { records = content; showCounts(); showRejects(); });
listen("points", content => trend.add(content));
listen("picture", content => { wanted = content; showPicture(); });
source.addEventListener("ended", () => { source.close(); location.assign("/login"); });
source.onerror = () => {
  showAlerts(false);
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
};
