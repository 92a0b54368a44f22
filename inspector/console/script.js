// The console: one page that uses the daemon's public routes.  The tab keeps only the API key.

const $ = (id) => document.getElementById(id);
const PAGE = 100; // rows of the list before "Show more"
const KEPT = 1000; // inspections without a judgement; the daemon keeps as many
const WAIT = 20; // seconds that the daemon may hold a request for news
const VERDICTS = ["fail", "review", "pass", "invalid"];

const state = {
  epoch: null, // identifies the daemon process that sent the entries
  revision: 0,
  entries: new Map(), // by id
  selected: null,
  models: [], // opened models, as the daemon lists them
  reference: null, // NAME@VERSION of the shown model
  model: null, // its name
  showsDefault: true, // whether it is the one that the daemon uses for requests without a model
  asksFor: "", // the model that requests name; empty for the default
  card: null,
  tried: null, // threshold being tried; null means the model's own
  rows: PAGE,
  shown: 0, // counts selections, so that a late picture does not replace a newer one
};

// --- requests to the daemon -----------------------------------------------------------------

class Refusal extends Error {
  constructor(status, problem) {
    super([problem.detail, problem.hint].filter(Boolean).join(": "));
    this.status = status;
    this.code = problem.code;
  }
}

async function call(path, options = {}) {
  const key = sessionStorage.getItem("key");
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({ detail: `status ${answer.status}` }));
  if (answer.status === 401) {
    if (sessionStorage.getItem("key") === key) await askForKey(key !== null); // otherwise another key was entered meanwhile
    return call(path, options);
  }
  throw new Refusal(answer.status, problem);
}

let asking = null;
function askForKey(wasWrong) {
  asking ??= new Promise((resolve) => {
    sessionStorage.removeItem("key");
    if (wasWrong) $("key-text").textContent = "That key is not known here. Try another one.";
    $("key").value = "";
    $("key-dialog").addEventListener("close", () => {
      sessionStorage.setItem("key", $("key").value);
      asking = null;
      resolve();
    }, { once: true });
    $("key-dialog").showModal();
  });
  return asking;
}
$("key-dialog").addEventListener("cancel", (event) => event.preventDefault());

const json = async (path, options) => (await call(path, options)).json();
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function connection(name, text) {
  $("state").dataset.state = name;
  $("state").textContent = text;
}

// --- news -----------------------------------------------------------------------------------

async function follow() {
  let failed = 0;
  for (;;) {
    try {
      const wait = failed || !state.revision ? 0 : WAIT;
      const news = await json(`v1/inspections?since=${state.revision ?? 0}&wait=${wait}`);
      if (state.epoch !== null && state.epoch !== news.epoch) startAnew();
      state.epoch = news.epoch;
      if (state.revision === null) { state.revision = 0; continue; }
      if (failed) notice("");
      failed = 0;
      connection("live", "live");
      take(news);
      if (!wait) await refreshModels();
    } catch (error) {
      failed += 1;
      connection("gone", "no connection");
      notice(error instanceof Refusal ? error.message
        : "The daemon does not answer. This page shows its last answers and tries again.");
      await pause(Math.min(10, failed));
    }
  }
}

/** Forget all entries: the daemon was restarted and no longer has them. */
function startAnew() {
  state.entries.clear();
  state.revision = null;
  state.selected = null;
  drawStream();
  drawHistogram();
  drawCounts();
  drawJudgements();
}

function take(news) {
  const fresh = news.inspections.filter((entry) => !state.entries.has(entry.id));
  for (const entry of news.inspections) state.entries.set(entry.id, entry);
  const unjudged = newestFirst().filter((entry) => !entry.judgements.length);
  unjudged.forEach(({ id }, i) => { if (id < news.oldest || i >= KEPT) state.entries.delete(id); });
  state.revision = news.revision;
  const isFollowing = $("live").getAttribute("aria-pressed") === "true";
  if (fresh.length && (isFollowing || state.selected === null)) select(Math.max(...fresh.map((e) => e.id)));
  else if (news.inspections.some((entry) => entry.id === state.selected)) drawJudgements();
  if (news.inspections.length) { drawStream(); drawHistogram(); drawCounts(); }
}

const newestFirst = () => [...state.entries.values()].sort((a, b) => b.id - a.id);

// --- models ---------------------------------------------------------------------------------

const referenceOf = ({ name, version }) => `${name}@${version}`;

async function refreshModels() {
  state.models = await json("v1/models");
  const shown = shownModel();
  $("model").replaceChildren(...state.models.map((entry) => {
    const option = new Option(referenceOf(entry.model), referenceOf(entry.model));
    option.selected = entry === shown;
    return option;
  }));
  if (shown) await showModel(referenceOf(shown.model));
}

// Until another model is chosen, the page shows the daemon's default, whichever version that is.
function shownModel() {
  const standard = state.models.find((entry) => entry.default) ?? state.models[0];
  if (state.reference === null || state.showsDefault) return standard;
  return state.models.find(({ model }) => referenceOf(model) === state.reference)
    ?? state.models.find(({ model }) => model.name === state.model)
    ?? standard;
}

async function showModel(reference) {
  const standard = state.models.find((entry) => entry.default)?.model;
  state.reference = reference;
  state.model = reference.split("@")[0];
  state.showsDefault = standard !== undefined && referenceOf(standard) === reference;
  // A version is asked for only where the name alone would be answered by another one: the default may be pinned.
  state.asksFor = state.showsDefault ? "" : state.model === standard?.name ? reference : state.model;
  state.card = await json(`v1/models/${encodeURIComponent(reference)}/card`);
  state.tried = null;
  drawHistogram();
  drawDrift();
  drawFacts();
  if (state.entries.has(state.selected)) drawVerdict(state.entries.get(state.selected));
}

// --- one inspection -------------------------------------------------------------------------

const numbers = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits).replace("-", "−"));
const percent = (value) => `${Number((100 * value).toPrecision(3))} %`;
const clock = (time) => new Date(time).toLocaleTimeString();
const nameOf = ({ id, inspection }) => inspection.path ?? `picture ${id}`;

function select(id) {
  const entry = state.entries.get(id);
  if (!entry) return;
  state.selected = id;
  drawVerdict(entry);
  drawJudgements();
  drawRegions(entry);
  for (const button of $("stream").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(Number(button.dataset.id) === id));
  }
  showPictures(entry);
  if (entry.inspection.model.name !== state.model) showModel(entry.inspection.model.name).then(refreshModels, () => {});
}

function drawVerdict(entry) {
  const { verdict, score, threshold, p_value, reason, image, milliseconds, model, remarks } = entry.inspection;
  $("verdict").dataset.verdict = verdict;
  $("verdict-word").textContent = verdict;
  const time = milliseconds.decode + milliseconds.infer + milliseconds.decide;
  const facts = verdict === "invalid" ? [reason] : [
    ...remarks,
    `score ${numbers(score)} ${score > threshold ? "above" : "within"} the threshold ${numbers(threshold)}`,
    asHigh(score, p_value, model),
  ];
  facts.push(placesInWords(entry.inspection), nameOf(entry), clock(entry.time));
  const { width: across, height: down } = image?.model_pixel ?? {};
  if (across > 1 || down > 1) facts.push(`1 pixel of the model covers ${numbers(across, 1)} × ${numbers(down, 1)} px`);
  if (image) facts.push(`${image.width} × ${image.height} px`, `${time.toFixed(0)} ms`);
  facts.push(`${model.name}@${model.version}`);
  $("verdict-text").textContent = facts.filter(Boolean).join(" · ");
  drawMeter(entry.inspection);
}

/** "none of 19 held-out good pictures scores higher": of those that set the threshold. */
function counted(calibration, isMeant, how) {
  const { heldout_scores: scores, method } = calibration;
  const count = scores.filter(isMeant).length;
  const kind = method.includes("new pictures") ? "new " : method.startsWith("cross") ? "" : "held-out ";
  return `${count || "none"} of ${scores.length} ${kind}good pictures ${count > 1 ? "score" : "scores"} ${how}`;
}

/** How unusual a score is, as a count: a p-value counts the part itself, so it is no share of good parts. */
function asHigh(score, p_value, { name, version }) {
  const { manifest, calibration } = state.card ?? {};
  const isShown = manifest?.name === name && manifest.version === version;
  return isShown ? counted(calibration, (other) => other >= score, "as high") : `p-value ${numbers(p_value, 3)}`;
}

function drawMeter({ score, threshold, verdict }) {
  const meter = $("meter");
  meter.replaceChildren();
  meter.toggleAttribute("hidden", score === null);
  if (score === null) return;
  const width = meter.clientWidth || 600;
  const held = state.card?.calibration.heldout_scores ?? [];
  const low = Math.min(score, held.length ? held[0] : 0, 0);
  const high = Math.max(score, threshold * 1.6, low + 1e-6) * 1.05;
  const x = (value) => ((value - low) / (high - low)) * width;
  meter.append(
    shape("rect", { x: 0, y: 8, width, height: 6, rx: 3, class: "svg-track" }),
    shape("rect", { x: x(threshold), y: 8, width: width - x(threshold), height: 6, rx: 3, class: "svg-over" }),
    shape("line", { x1: x(threshold), x2: x(threshold), y1: 3, y2: 19, class: "svg-threshold" }),
    shape("circle", { cx: x(score), cy: 11, r: 6, class: `svg-${verdict === "review" ? "reviewed" : verdict}` }),
    label(Math.min(x(threshold), width - 60), 30, "threshold"),
  );
  meter.setAttribute("aria-label", `Score ${numbers(score)}, threshold ${numbers(threshold)}`);
}

async function showPictures(entry) {
  const turn = ++state.shown;
  for (const view of ["picture", "heatmap", "reconstruction"]) {
    const image = $(view);
    image.hidden = true;
    if (!entry.has_picture) continue;
    blob(`v1/inspections/${entry.id}/views/${view}`).then((url) => {
      if (turn !== state.shown) return URL.revokeObjectURL(url);
      URL.revokeObjectURL(image.src);
      image.src = url;
      image.alt = { picture: nameOf(entry), heatmap: `Heatmap over ${nameOf(entry)}`, reconstruction: "Reconstruction" }[view];
      image.hidden = false;
      return null;
    }).catch((error) => { if (turn === state.shown && error.code !== "picture_not_kept") notice(error.message); });
  }
}

const blob = async (path) => URL.createObjectURL(await (await call(path)).blob());

const isPlaceBelowLimit = ({ above_limit }) => !above_limit;

/** A sentence for a part at fault whose map stays below its limit, or has no place that stands out. */
function placesInWords({ verdict, regions }) {
  if (verdict !== "fail" && verdict !== "review") return "";
  if (!regions.length) return "no place stands out: the whole picture is unusual";
  return regions.some(isPlaceBelowLimit) ? "no place alone exceeds the map's limit: the dashed line marks the strongest" : "";
}

function drawRegions(entry) {
  const { regions } = entry.inspection;
  $("regions-box").hidden = regions.length === 0;
  const count = regions.length === 1 ? "1 region" : `${regions.length} regions`;
  $("regions-title").textContent = regions.some(isPlaceBelowLimit) ? "Strongest place" : count;
  $("regions").replaceChildren(...regions.map((region) => {
    const row = document.createElement("tr");
    const cells = [`${region.x}, ${region.y}`, `${region.width} × ${region.height} px`, `${region.area_pixels} px`, numbers(region.peak, 1)];
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
}

// --- agree, disagree ------------------------------------------------------------------------

const operator = () => $("operator").value.trim() || "operator";

function drawJudgements() {
  const entry = state.entries.get(state.selected);
  $("judge").hidden = !entry || entry.inspection.verdict === "invalid";
  if (!entry) return;
  const mine = entry.judgements.find((one) => one.operator === operator());
  $("agree").setAttribute("aria-pressed", String(mine?.agrees === true));
  $("disagree").setAttribute("aria-pressed", String(mine?.agrees === false));
  const words = entry.judgements.map((one) => `${one.operator} ${one.agrees ? "agrees" : "disagrees"}`);
  const outcome = { good: "the part counts as good", defect: "the part counts as a defect", disputed: "disputed: it is exported separately until all operators agree" };
  $("judgements").textContent = words.length ? `${words.join(", ")}; ${outcome[entry.label]}.` : "";
}

async function judge(agrees) {
  const entry = state.entries.get(state.selected);
  if (!entry || entry.inspection.verdict === "invalid") return;
  const mine = entry.judgements.find((one) => one.operator === operator());
  const word = { operator: operator(), agrees: mine?.agrees === agrees ? null : agrees };
  try {
    const judged = await json(`v1/inspections/${entry.id}/judgement`, {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(word),
    });
    state.entries.set(judged.id, judged);
    drawJudgements();
    drawStream();
    drawCounts();
  } catch (error) { complain(error); }
}

async function exportJudged() {
  try {
    const url = await blob("v1/judgements.zip");
    Object.assign(document.createElement("a"), { href: url, download: "judgements.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  } catch (error) { complain(error); }
}

function complain(error) {
  notice(error instanceof Refusal ? error.message : "The daemon does not answer; nothing was changed. Try again.");
}

// --- sending pictures -----------------------------------------------------------------------

async function send(pictures) {
  let failed = "";
  for (const picture of pictures) {
    $("hint").textContent = `inspecting ${picture.name} …`;
    const form = new FormData();
    form.append("image", picture, picture.name);
    const path = `v1/score${state.asksFor ? `?model=${encodeURIComponent(state.asksFor)}` : ""}`;
    try {
      const answer = await call(path, { method: "POST", body: form });
      const found = await answer.json();
      await show(Number(answer.headers.get("X-Inspection-Id")));
      $("announce").textContent = `${picture.name}: ${found.verdict}, score ${numbers(found.score)}`;
    } catch (error) {
      failed = error instanceof Refusal ? `${picture.name}: ${error.message}` : `${picture.name} was not sent: the daemon does not answer.`;
    }
  }
  $("hint").textContent = "or drop pictures anywhere on this page";
  notice(failed);
}

async function show(id) {
  if (!state.entries.has(id)) take(await json(`v1/inspections?since=${state.revision}`));
  select(id);
}

let turn = 0;
async function sample() {
  try {
    if (!state.card) await refreshModels();
    if (!state.card?.samples) return notice("The model has no samples.");
    const number = turn++ % state.card.samples;
    const answer = await call(`v1/models/${encodeURIComponent(state.reference)}/samples/${number}`);
    return await send([new File([await answer.blob()], `sample-${number}.png`)]);
  } catch (error) { return complain(error); }
}

// --- the stream -----------------------------------------------------------------------------

const tried = () => state.tried ?? state.card?.calibration.threshold;
const isScored = ({ inspection }) => inspection.score !== null;
const isShownModel = ({ inspection }) => inspection.model.name === state.model;
const wouldFail = (entry) => entry.inspection.score > tried();
const changes = (entry) => state.tried !== null && isScored(entry) && isShownModel(entry)
  && wouldFail(entry) !== (entry.inspection.verdict === "fail");

const FILTERS = {
  all: () => true,
  judged: (entry) => entry.judgements.length > 0,
  disputed: (entry) => entry.label === "disputed",
  changes,
};

function drawStream() {
  const wanted = $("filter").value;
  const entries = newestFirst().filter(FILTERS[wanted] ?? ((entry) => entry.inspection.verdict === wanted));
  const known = new Map([...$("stream").children].map((row) => [Number(row.firstChild.dataset.id), row]));
  const rows = entries.slice(0, state.rows).map((entry) => {
    const row = known.get(entry.id) ?? newRow(entry);
    fillRow(row.firstChild, entry);
    return row;
  });
  const hadFocus = document.activeElement?.dataset?.id;
  $("stream").replaceChildren(...rows);
  for (const row of known.values()) if (!row.isConnected) dropThumbnail(row.querySelector("img"));
  if (hadFocus) $("stream").querySelector(`[data-id="${hadFocus}"]`)?.focus({ preventScroll: true });
  $("more").hidden = entries.length <= state.rows;
  $("empty").hidden = entries.length > 0;
  $("empty").textContent = state.entries.size ? "None of the recent inspections." : "Nothing has been inspected since the daemon started.";
}

const near = new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (!isIntersecting) continue;
    near.unobserve(target);
    blob(`v1/inspections/${target.dataset.thumb}/views/thumbnail`).then((url) => {
      target.src = url;
      if (!target.isConnected) dropThumbnail(target);
    }, () => {});
  }
}, { rootMargin: "200px" });

function dropThumbnail(image) {
  near.unobserve(image);
  URL.revokeObjectURL(image.src);
}

function newRow(entry) {
  const row = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.dataset.id = entry.id;
  const image = Object.assign(document.createElement("img"), { className: "thumb", alt: "" });
  image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  if (entry.has_picture) {
    image.dataset.thumb = entry.id;
    near.observe(image);
  }
  const parts = ["word", "score", "what"].map((name) => Object.assign(document.createElement("span"), { className: name }));
  button.append(image, ...parts);
  button.addEventListener("click", () => {
    $("live").setAttribute("aria-pressed", "false");
    select(entry.id);
  });
  row.append(button);
  return row;
}

function fillRow(button, entry) {
  const { verdict, score, reason, unfamiliar } = entry.inspection;
  const [word, value, what] = [...button.children].slice(1);
  const would = changes(entry) ? ` → ${wouldFail(entry) ? "fail" : "pass"}` : "";
  const said = { good: "good part", defect: "defect", disputed: "disputed" }[entry.label];
  word.className = `word fact-${verdict}`;
  word.textContent = verdict + would;
  for (const note of [unfamiliar && "unfamiliar", said].filter(Boolean)) {
    word.append(Object.assign(document.createElement("small"), { textContent: `  ${note}` }));
  }
  value.textContent = numbers(score);
  what.textContent = [clock(entry.time), verdict === "invalid" ? reason : nameOf(entry)].join(" · ");
  button.setAttribute("aria-current", String(entry.id === state.selected));
}

function drawCounts() {
  const counts = VERDICTS.map((verdict) => [verdict, newestFirst().filter((entry) => entry.inspection.verdict === verdict).length]);
  $("counts").replaceChildren(...counts.filter(([, count]) => count).map(([verdict, count]) => {
    const part = document.createElement("span");
    part.append(Object.assign(document.createElement("b"), { textContent: count, className: `fact-${verdict}` }), ` ${verdict}`);
    return part;
  }));
}

// --- charts ---------------------------------------------------------------------------------

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function label(x, y, text, anchor = "start") {
  const made = shape("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}

/** Range of the score axis: held-out scores and most recent scores; outliers lie at its end. */
function axis() {
  const { heldout_scores: held, threshold } = state.card.calibration;
  const seen = newestFirst().filter((e) => isScored(e) && isShownModel(e)).map((e) => e.inspection.score).sort((a, b) => a - b);
  const low = Math.min(held[0] ?? 0, seen[0] ?? Infinity, threshold);
  const most = seen.length ? seen[Math.floor(0.95 * (seen.length - 1))] : threshold;
  const high = Math.max(held.at(-1) ?? 0, Math.min(most, 4 * Math.abs(threshold) + 1), threshold * 1.4);
  const margin = (high - low) * 0.04 || 1;
  return { held, seen, low: low - margin, high: high + margin };
}

function drawHistogram() {
  if (!state.card) return;
  const { held, seen, low, high } = axis();
  const svg = $("histogram");
  const width = svg.clientWidth || 700;
  const [top, bottom] = [6, 112];
  const bins = Math.max(12, Math.min(48, Math.floor(width / 16)));
  const x = (value) => ((Math.min(Math.max(value, low), high) - low) / (high - low)) * width;
  const count = (values) => {
    const found = new Array(bins).fill(0);
    for (const value of values) found[Math.min(bins - 1, Math.floor((x(value) / width) * bins))] += 1 / values.length;
    return found;
  };
  const series = [["svg-held", count(held)], ["svg-seen", count(seen)]];
  const tallest = Math.max(...series.flatMap(([, values]) => values), 1e-9);
  const step = width / bins;
  svg.replaceChildren(shape("line", { x1: 0, x2: width, y1: bottom, y2: bottom, class: "svg-axis" }));
  series.forEach(([name, values], place) => values.forEach((value, i) => {
    if (!value) return;
    const height = ((bottom - top) * value) / tallest;
    svg.append(shape("rect", { x: i * step + 1 + place * (step / 2 - 1), y: bottom - height, width: step / 2 - 1, height, class: name }));
  }));
  const { threshold, review_threshold: review } = state.card.calibration;
  const line = (value, name) => svg.append(shape("line", { x1: x(value), x2: x(value), y1: top, y2: bottom, class: name }));
  line(threshold, "svg-threshold");
  if (review !== null) line(review, "svg-review");
  if (state.tried !== null) line(state.tried, "svg-tried");
  svg.append(label(0, 127, numbers(low, 1)), label(width, 127, numbers(high, 1), "end"));
  svg.append(label(Math.min(x(threshold) + 5, width - 60), 16, numbers(threshold)));
  drawPreview(low, high);
}

function drawPreview(low, high) {
  const { calibration } = state.card;
  const { heldout_scores: held, threshold, promised_false_reject_rate: promised } = calibration;
  const over = counted(calibration, (score) => score > tried(), "higher");
  const slider = $("threshold");
  slider.step = "any";
  slider.min = low;
  slider.max = high;
  slider.value = tried();
  $("threshold-value").textContent = numbers(tried());
  slider.setAttribute("aria-valuetext", numbers(tried()));
  $("reset").hidden = state.tried === null;
  if (state.tried === null) {
    const floor = promised * (held.length + 1) < 1 + 1e-6 ? `, and ${held.length} cannot promise less` : "";
    $("scores-text").textContent = `The threshold ${numbers(threshold)} rejects at most ${percent(promised)} of good parts, on average: ${over}${floor}. Moving the slider changes only this page.`;
  } else {
    const rate = (held.filter((score) => score > state.tried).length + 1) / (held.length + 1);
    const floor = rate * (held.length + 1) < 1.5 ? `, and ${held.length} cannot show less` : "";
    const changed = newestFirst().filter(changes);
    const toFail = changed.filter(wouldFail).length;
    $("scores-text").textContent = `At ${numbers(state.tried)}, at most ${percent(rate)} of good parts would be rejected, on average: ${over}${floor}. ${changed.length} recent verdicts would change: ${toFail} to fail, ${changed.length - toFail} to pass. To use another threshold, calibrate with the wanted rate: inspector calibrate FOLDER --model ${state.model} --max-false-reject RATE.`;
  }
}

function drawDrift() {
  const svg = $("drift");
  const tests = state.card.drift;
  svg.toggleAttribute("hidden", tests.length === 0);
  const width = svg.clientWidth || 340;
  const [top, bottom] = [8, 110];
  const depth = 4; // decades of the p-value that are shown
  const y = (p) => top + ((bottom - top) * Math.min(depth, -Math.log10(Math.max(p, 1e-9)))) / depth;
  const x = (i) => 28 + ((width - 34) * i) / Math.max(1, tests.length - 1);
  svg.replaceChildren(
    shape("line", { x1: 28, x2: width, y1: y(0.01), y2: y(0.01), class: "svg-threshold", "stroke-dasharray": "2 3" }),
    label(0, y(1) + 4, "1"), label(0, y(0.01) + 4, ".01"), label(0, bottom + 2, "p"),
  );
  if (tests.length) {
    svg.append(shape("polyline", { points: tests.map((test, i) => `${x(i)},${y(test.p_value)}`).join(" "), class: "svg-drift" }));
    tests.forEach((test, i) => svg.append(shape("circle", { cx: x(i), cy: y(test.p_value), r: 2.5, class: test.p_value < 0.01 ? "svg-alarm" : "svg-dot" })));
  }
  const last = tests.at(-1);
  const latest = last && (last.p_value < 0.01
    ? "recent pictures no longer look like the good pictures of the fit. Check light, lens and position; then calibrate again"
    : "recent pictures look like the good pictures of the fit");
  $("drift-text").textContent = last
    ? `p = ${numbers(last.p_value, 3)} over ${last.pictures} pictures, ${clock(last.time)}: ${latest}.`
    : "Drift is tested from 50 recent pictures on.";
}

function drawFacts() {
  const { manifest, calibration } = state.card;
  const { training } = manifest;
  const facts = {
    model: `${manifest.name}@${manifest.version}`,
    made: new Date(manifest.created).toLocaleString(),
    input: `${manifest.image.width} × ${manifest.image.height} px`,
    "good pictures": `${training.images + training.heldout_images}${training.heldout_images ? `: ${training.images} for training + ${training.heldout_images} held out` : ""}`,
    training: `${training.steps} steps in ${(training.seconds / 60).toFixed(1)} min`,
    promise: `at most ${percent(calibration.promised_false_reject_rate)} of good parts rejected, on average${calibration.promise_kept ? "" : `; ${percent(calibration.asked_false_reject_rate)} was asked, ${calibration.images_missing} more pictures are needed`}`,
    calibrated: `${new Date(calibration.created).toLocaleString()}, on ${calibration.source}`,
    "torch to ONNX": `differs by ${manifest.parity.largest_relative_difference.toExponential(0)} at most`,
  };
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([name, text]) => [
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: text }),
  ]));
}

// --- input ----------------------------------------------------------------------------------

const step = (by) => {
  const rows = [...$("stream").querySelectorAll("button")];
  const at = rows.findIndex((row) => Number(row.dataset.id) === state.selected);
  const row = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  row?.click();
  row?.scrollIntoView({ block: "nearest" });
};

const KEYS = {
  a: () => judge(true),
  d: () => judge(false),
  h: () => setOpacity($("opacity").value > 0 ? 0 : 100),
  j: () => step(1),
  k: () => step(-1),
};

function setOpacity(value) {
  $("opacity").value = value;
  $("heatmap").style.opacity = value / 100;
}

$("opacity").addEventListener("input", () => setOpacity($("opacity").value));
$("file").addEventListener("change", async () => {
  await send([...$("file").files]);
  $("file").value = "";
});
$("sample").addEventListener("click", sample);
$("agree").addEventListener("click", () => judge(true));
$("disagree").addEventListener("click", () => judge(false));
$("export").addEventListener("click", exportJudged);
$("operator").value = localStorage.getItem("operator") ?? "";
$("operator").addEventListener("input", () => {
  localStorage.setItem("operator", $("operator").value.trim());
  drawJudgements();
});
$("live").addEventListener("click", () => {
  const isOn = $("live").getAttribute("aria-pressed") !== "true";
  $("live").setAttribute("aria-pressed", String(isOn));
  if (isOn && state.entries.size) select(newestFirst()[0].id);
});
$("filter").addEventListener("change", () => { state.rows = PAGE; drawStream(); });
$("more").addEventListener("click", () => { state.rows += PAGE; drawStream(); });
$("model").addEventListener("change", () => showModel($("model").value).then(drawStream, complain));
$("threshold").addEventListener("input", () => {
  state.tried = Number($("threshold").value);
  drawHistogram();
  drawStream();
});
$("reset").addEventListener("click", () => { state.tried = null; drawHistogram(); drawStream(); });

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key.toLowerCase()];
  if (act) { event.preventDefault(); act(); }
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  send([...event.dataTransfer.files]);
});
new ResizeObserver(() => {
  if (!state.card) return;
  drawHistogram();
  drawDrift();
  const entry = state.entries.get(state.selected);
  if (entry) drawMeter(entry.inspection);
}).observe($("histogram"));

setInterval(() => {
  if (!state.model || document.hidden) return;
  const { tried: kept } = state;
  refreshModels().then(() => { state.tried = kept; drawHistogram(); }, () => {});
}, 15_000);

follow();
