"use strict";
// Filter, sort, keys, and the reader's answers. The list is complete without any of this.
(() => {
  const byId = (id) => document.getElementById(id);
  const { run, started, words } = document.body.dataset;
  const texts = JSON.parse(words);
  const say = (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const items = [...document.querySelectorAll(".rows > li")];
  const lists = [...document.querySelectorAll(".rows")];
  const overlay = byId("overlay");
  const rankOf = (item) => item.querySelector(".rank").textContent;
  let index = null;

  // What filter and sort need to know; read when first asked for, so that the page opens at once.
  function indexed() {
    index ??= items.map((item, rank) => ({
      item,
      rank,
      list: item.parentNode,
      band: item.closest("section").id,
      name: item.querySelector(".who").textContent,
      score: Number.parseFloat(item.querySelector(".file").dataset.probability),
      time: Date.parse(item.querySelector("summary time")?.dateTime),
      remarks: [...item.querySelectorAll(".remark")].map((remark) => remark.dataset.code),
      text: [...item.querySelectorAll("summary, .path")].map((part) => part.textContent).join(" ").toLowerCase(),
    }));
    return index;
  }

  function tell(message) {
    const left = items.filter((item) => !item.hidden).length;
    const rows = left < items.length ? say("rows_of", { n: left, all: items.length }) : say("rows", { n: left });
    const parts = [rows, answers.size && say("read", { n: answers.size }), message];
    byId("shown").textContent = parts.filter(Boolean).join("; ");
    // On paper the controls are gone: what they have done to the list has to be said.
    const changed = [left < items.length && say("filtered", { rows }), byId("sort").value !== "rank" && say("not_in_order")];
    byId("printed").textContent = changed.filter(Boolean).join(", ");
  }

  const shows = {
    "": () => true,
    new: (item) => "new" in item.dataset,
    unread: (item) => !("entry" in item.dataset),
  };

  function filter() {
    const wordsFound = byId("find").value.toLowerCase().split(/\s+/);
    const [band, remark, show] = ["band", "remark", "show"].map((id) => byId(id).value);
    for (const row of indexed()) {
      const wanted = (!band || row.band === band) && (!remark || row.remarks.includes(remark))
        && shows[show](row.item) && wordsFound.every((word) => row.text.includes(word));
      row.item.hidden = !wanted;
    }
    for (const section of document.querySelectorAll(".band")) section.hidden = Boolean(band) && section.id !== band;
    // What was looked for must not lie behind a fold.
    const fold = document.querySelector(".fold");
    if (fold && (band || remark || byId("find").value)) fold.open = Boolean(fold.querySelector(".rows > li:not([hidden])"));
    tell("");
  }

  const orders = {
    rank: (a, b) => a.rank - b.rank,
    score: (a, b) => (Number.isNaN(a.score) - Number.isNaN(b.score)) || (b.score - a.score) || (a.rank - b.rank),
    name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.rank - b.rank),
    time: (a, b) => (Number.isNaN(a.time) - Number.isNaN(b.time)) || (a.time - b.time) || (a.rank - b.rank),
  };

  function sort() {
    const order = byId("sort");
    const rows = [...indexed()].sort(orders[order.value]);
    // Emptied first: browsers take a square of the time to move rows about within a list.
    for (const list of lists) list.replaceChildren();
    for (const row of rows) row.list.append(row.item);
    tell(order.value === "rank" ? "" : say("sorted", { order: order.selectedOptions[0].textContent }));
  }

  function step(by) {
    const shown = [...document.querySelectorAll(".band:not([hidden]) .rows > li:not([hidden]) > details > summary")]
      .filter((summary) => summary.closest(".fold")?.open ?? true);
    const here = document.activeElement;
    const row = here.closest(".rows > li")?.querySelector("summary");
    let next = shown.indexOf(row) + by;
    if (!row) next = shown.findIndex((each) => here.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING);
    shown[Math.max(0, Math.min(next, shown.length - 1))]?.focus();
  }

  function jump(id) {
    const title = byId(`${id}-title`);
    title.scrollIntoView();
    title.focus({ preventScroll: true });
  }

  const keys = new Map(Object.entries({
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    1: () => jump("attention"),
    2: () => jump("flagged"),
    3: () => jump("unflagged"),
    "/": () => byId("find").focus({ preventScroll: true }),
    o: () => overlay?.click(),
    "?": () => byId("help").showModal(),
  }));

  function press(event) {
    const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    if (event.key === "Escape" && event.target === byId("find")) event.target.blur();
    if (typing || event.ctrlKey || event.altKey || event.metaKey || !keys.has(event.key)) return;
    const arrow = event.key.startsWith("Arrow");
    if (arrow ? !event.target.closest(".rows") : !byId("single").checked) return;
    event.preventDefault();
    keys.get(event.key)();
  }

  // Answers by rank: who read, what they found, a comment. Kept under the run's name, so that
  // another night's list begins anew. A browser may refuse to keep anything.
  const PREFIX = "cxr-edge ";
  const KEPT_DAYS = 30;
  const answers = new Map();
  const kept = (rank) => `${PREFIX}${run} ${rank}`;
  let unsaved = false;
  let keeps = true;

  function keep(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      keeps = false;
    }
  }

  function recall() {
    try {
      const oldest = new Date(Date.now() - KEPT_DAYS * 864e5).toISOString().replaceAll("-", "").slice(0, 8);
      const mine = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
      for (const name of mine) {
        const [, of, rank] = name.split(" ");
        if (of === run && rank === "by") byId("by").value = localStorage.getItem(name);
        else if (of === run) answers.set(rank, JSON.parse(localStorage.getItem(name)));
        else if (of.slice(0, 8) < oldest) localStorage.removeItem(name);
      }
    } catch {
      keeps = false;
    }
    if (answers.size) for (const item of items) mark(item);
  }

  const answerText = (code) => texts[`answer_${code.replace(" ", "_")}`];

  function mark(item) {
    const answer = answers.get(rankOf(item));
    if (answer) {
      const found = [answer.pneumonia ? answerText(answer.pneumonia) : texts.commented, answer.comment];
      item.dataset.entry = say("entry", { by: answer.by || "-", answer: found.filter(Boolean).join(", ") });
    } else delete item.dataset.entry;
    const summary = item.querySelector("summary");
    summary.querySelector(".entry")?.remove();
    if (!answer) return;
    const line = document.createElement("span");
    line.className = "entry";
    line.textContent = item.dataset.entry;
    summary.append(line);
  }

  // Five thousand rows of empty fields would slow the page: a row gets its own when it is opened.
  function opened(event) {
    const body = event.target.parentNode.matches(".rows > li") && event.target.querySelector(".opened");
    if (!body || body.querySelector(".reader")) return;
    const rank = rankOf(event.target);
    body.prepend(byId("reader").content.cloneNode(true));
    const answer = answers.get(rank);
    for (const choice of body.querySelectorAll("[type=radio]")) {
      choice.name = `pneumonia-${rank}`;
      choice.checked = choice.value === answer?.pneumonia;
    }
    body.querySelector(".words").value = answer?.comment ?? "";
  }

  function entered(event) {
    if (event.target.id === "by") keep(kept("by"), event.target.value);
    const fields = event.target.closest(".reader");
    if (fields) answered(fields);
  }

  function answered(fields) {
    const item = fields.closest("li");
    const rank = rankOf(item);
    const pneumonia = fields.querySelector(":checked")?.value ?? "";
    const comment = fields.querySelector(".words").value;
    if (pneumonia || comment) answers.set(rank, { by: byId("by").value, pneumonia, comment });
    else answers.delete(rank);
    keep(kept(rank), answers.has(rank) ? JSON.stringify(answers.get(rank)) : null);
    unsaved = true;
    mark(item);
    tell(keeps ? "" : texts.not_kept);
  }

  function cleared(event) {
    const fields = event.target.closest(".clear")?.closest(".reader");
    if (!fields) return;
    for (const choice of fields.querySelectorAll(":checked")) choice.checked = false;
    fields.querySelector(".words").value = "";
    answered(fields);
  }

  // As in triage.csv: a quote in front keeps a spreadsheet from running a text as a formula, also
  // behind a `;`, which separates cells where the comma is decimal.
  function cell(text) {
    const safe = text.replaceAll(/(^|;)(?=['\t\r]|[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])/gu, "$1'");
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  // One line for each film: an answer is about the patient, and so about every film of the study.
  function linesOf(item) {
    const answer = answers.get(rankOf(item));
    const { by = "", pneumonia = "", comment = "" } = answer ?? {};
    return [...item.querySelectorAll(".file")].map((file) => {
      const { rank, probability = "", flagged = "" } = file.dataset;
      const path = file.querySelector(".path").textContent;
      const sha256 = file.querySelector("code")?.textContent ?? "";
      return [Number(rank), [rank, cell(path), sha256, probability, flagged, cell(by), pneumonia, cell(comment), run].join(",")];
    });
  }

  function save() {
    const films = items.flatMap(linesOf).sort(([a], [b]) => a - b);
    const lines = ["rank,path,sha256,probability,flagged,read_by,pneumonia,comment,run", ...films.map(([, line]) => line)];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    link.download = byId("save").dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    tell(say("saved", { n: answers.size }));
  }

  // By the clock of whoever reads; a clock that runs behind says nothing.
  function span(milliseconds) {
    const minutes = Math.floor(milliseconds / 60000);
    const units = [["minutes", 1, 120], ["hours", 60, 48 * 60], ["days", 1440, Infinity]];
    const [unit, length] = units.find(([, , end]) => minutes < end);
    return say(unit, { n: Math.floor(minutes / length) }).replace(" ", "\u00a0");
  }

  function tick() {
    const now = Date.now();
    const age = now - Date.parse(started);
    byId("stale").hidden = !(age > 864e5);
    if (age > 864e5) byId("stale").textContent = say("stale", { time: span(age) });
    for (const place of document.querySelectorAll(".when .waiting")) {
      const since = place.parentNode.querySelector("time").dateTime;
      const waits = now - Date.parse(since);
      // A date alone says too little; midnight of somewhere is not when the film was taken.
      const text = since.includes("T") && waits >= 0 ? say("waiting", { time: span(waits) }) : "";
      if (place.textContent !== text) place.textContent = text;
    }
  }

  for (const id of ["band", "remark", "show"]) byId(id).addEventListener("change", filter);
  // Escape clears the field in some browsers, which is no "input" to them.
  for (const event of ["input", "change", "search"]) byId("find").addEventListener(event, filter);
  byId("sort").addEventListener("change", sort);
  byId("save").addEventListener("click", save);
  byId("keys").addEventListener("click", keys.get("?"));
  byId("close").addEventListener("click", () => byId("help").close());
  document.addEventListener("keydown", press);
  document.addEventListener("input", entered);
  document.addEventListener("click", cleared);
  document.addEventListener("toggle", opened, true);
  addEventListener("beforeunload", (event) => {
    if (unsaved && !keeps) event.preventDefault();
  });
  recall();
  tick();
  setInterval(tick, 60000);
  tell("");
  byId("tools").hidden = false;
})();
