/** The page: wires the parts, runs one request at a time, puts errors where they belong. */

import { byId, say } from "./elements.js";
import { Enlarger } from "./enlarger.js";
import { ServiceError } from "./errors.js";
import { Form } from "./form.js";
import { Meters } from "./meters.js";
import { PairsView } from "./pairs.js";
import { Picture } from "./picture.js";
import { multipart } from "./request.js";
import { describe } from "./served.js";
import { Service } from "./service.js";
import { SweepView } from "./sweep.js";
import { Tabs } from "./tabs.js";

const RETRY_MS = 5000;
const SWEEP_IMAGES = 10;
const DOUBLE_CLICK_MS = 500; // as long as operating systems wait for the second click

const service = new Service();
const picture = new Picture();
const form = new Form();
const enlarger = new Enlarger();
const tabs = new Tabs(["pairs", "sweep"]);
const pairs = new PairsView(enlarger, new Meters());
const sweeps = new SweepView(enlarger);
let aborter = null;
let pressed = { button: "", at_ms: -Infinity }; // of Make and Stop, which take each other's place
let complaint = ""; // what loading put into the alert: its success takes only that away

/** Ask what is served, again and again while the models are still starting. */
async function load() {
  try {
    const served = await service.models();
    form.fill(served);
    picture.limits = served.limits;
    describe(served);
    if (byId("alert").textContent === complaint) say(byId("alert"), "");
    complaint = "";
  } catch (failure) {
    explain(failure);
    complaint = byId("alert").textContent;
    const passing = failure instanceof ServiceError && [0, 429, 503].includes(failure.status);
    if (passing) setTimeout(load, RETRY_MS);
  }
}

/**
 * Take note of a press, unless it is the second one of a double click on the button that was here before.
 * @param {"make"|"stop"} button
 * @returns {boolean} whether the press counts
 */
function press(button) {
  const now_ms = performance.now();
  if (button !== pressed.button && now_ms - pressed.at_ms < DOUBLE_CLICK_MS) return false;
  pressed = { button, at_ms: now_ms };
  return true;
}

/** Make the pairs, unless something is missing or under way. */
function make() {
  tabs.select("pairs");
  const fields = [...form.fields(), ["crop", picture.crop]];
  return work(async (signal) => {
    const events = service.pairs(multipart(picture.file, fields), signal);
    await pairs.follow(events, form.count, sent(), (seed) => form.showSeed(seed));
  });
}

/** Sweep with the seed of the pairs that are shown, so that both can be compared. */
function sweep() {
  tabs.select("sweep");
  const seed = pairs.firstSeed ?? form.seed;
  const fields = [["n", String(SWEEP_IMAGES)], ["crop", picture.crop], ["output_format", byId("output_format").value]];
  if (seed !== "") fields.push(["seed", String(seed)]);
  return work(async (signal) => {
    const answer = service.sweep(multipart(picture.file, fields), signal);
    await sweeps.follow(answer, sent(), Number(byId("diversity_factor").value));
  });
}

function sent() {
  return { fileName: picture.file.name, crop: picture.crop, hasKey: service.hasKey };
}

/** Do one piece of work: clear old complaints, show that it is under way, explain how it ended. */
async function work(task) {
  if (aborter) return;
  say(byId("alert"), "");
  form.clear();
  service.useKey(byId("key").value);
  if (picture.check()) return byId("choose").focus();
  aborter = new AbortController();
  showBusy(true);
  try {
    await task(aborter.signal);
  } catch (failure) {
    explain(failure);
  } finally {
    aborter = null;
    showBusy(false);
  }
}

/** The button that was pressed goes: the one in its place takes over the focus. */
function showBusy(busy) {
  const [shown, gone] = busy ? [byId("stop"), byId("make")] : [byId("make"), byId("stop")];
  const focused = [gone, byId("sweep"), document.body].includes(document.activeElement);
  shown.hidden = false;
  gone.hidden = true;
  byId("sweep").disabled = busy;
  byId("results").setAttribute("aria-busy", String(busy));
  if (focused) shown.focus();
  if (busy && matchMedia("(max-width: 899px)").matches) byId("results").scrollIntoView();
}

/** Put a failure into words, at the thing at fault where it is known. */
function explain(failure) {
  if (failure instanceof DOMException && failure.name === "AbortError") return; // asked for; the view says so
  if (!(failure instanceof ServiceError)) throw failure; // a mistake of ours: into the console with it
  if (failure.status === 401) byId("key-field").hidden = false;
  if (["image", "crop"].includes(failure.param)) {
    picture.complain(failure.message);
    byId("picture").scrollIntoView({ block: "nearest" });
  } else if (!form.complain(failure.param, failure.message)) {
    say(byId("alert"), failure.message);
  }
  if (failure.status === 401) byId("key").focus();
}

byId("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (press("make")) make();
});
byId("sweep").addEventListener("click", sweep);
byId("stop").addEventListener("click", () => {
  if (press("stop")) aborter?.abort();
});
byId("key").addEventListener("change", () => {
  service.useKey(byId("key").value);
  load();
});
load();
