"use strict";
// Asks every half second how far calibrate is, until it has ended.

const texts = JSON.parse(document.body.dataset.texts);
const STAGES = { "cross-fit": "cross_fit", "λ1, λ2": "weights" };
const at = id => document.getElementById(id);

function show(job) {
  at("job").dataset.phase = job.phase;
  at("phase").textContent = texts[`js_phase_${job.phase}`];
  const running = job.phase === "running";
  at("stage").textContent = job.stage ? `${texts[`js_stage_${STAGES[job.stage] || job.stage}`] || job.stage} ${job.of ? `${job.done} / ${job.of}` : ""}` : "";
  if (running && !job.of) at("progress").removeAttribute("value");
  else { at("progress").max = job.of || 1; at("progress").value = running ? job.done : job.phase === "done" ? job.of || 1 : 0; }
  const skipped = Object.entries(job.skipped || {}).map(([why, count]) => `${count} ${why}`).join(", ");
  at("skipped").textContent = skipped ? `${texts.js_not_kept}: ${skipped}` : "";
  at("words").textContent = job.words.join("\n");
  at("stop").hidden = !running;
  at("look").hidden = !(job.phase === "done" && job.serial);
  if (job.serial) at("look").href = `/calibration/slot/${job.serial}?product=${encodeURIComponent(job.product)}`;
  return running;
}

async function follow() {
  let again = true;
  try {
    const answer = await fetch("/calibration/run/state");
    if (answer.status === 401) { location.assign("/login"); return; }
    again = show(await answer.json());
  } catch { /* the server starts anew; ask again */ }
  if (again) setTimeout(follow, 500);
}
follow();
