"use strict";
// Filter, sort, keys, and the reader's entries. The list is complete without any of this.
(() => {
  const byId = (id) => document.getElementById(id);
  const items = [...document.querySelectorAll(".rows > li")];
  const lists = [...document.querySelectorAll(".rows")];
  const overlay = byId("overlay");
  let index = null;
  let unsaved = false;

  // What filter and sort need to know; read when first asked for, so that the page opens at once.
  function indexed() {
    index ??= items.map((item, rank) => ({
      item,
      rank,
      list: item.parentNode,
      band: item.closest("section").id,
      name: item.querySelector(".name").firstChild?.data ?? "",
      score: Number.parseFloat(item.querySelector(".score").textContent),
      time: item.querySelector("time")?.textContent ?? "",
      remarks: [...item.querySelectorAll(".remark")].map((remark) => remark.textContent.replace(/^.*?: /, "")),
      text: item.querySelector("summary").textContent.toLowerCase(),
    }));
    return index;
  }

  function tell(message) {
    const left = items.filter((item) => !item.hidden).length;
    const rows = left < items.length ? `${left} of ${items.length} rows` : `${left} rows`;
    byId("shown").textContent = message ? `${rows}; ${message}` : rows;
    // On paper the controls are gone: what they have done to the list has to be said.
    const changed = [left < items.length && `Filtered: ${rows}`, byId("sort").value !== "rank" && "not in reading order"];
    byId("printed").textContent = changed.filter(Boolean).join(", ");
  }

  function filter() {
    const words = byId("find").value.toLowerCase().split(/\s+/);
    const band = byId("band").value;
    const remark = byId("remark").value;
    for (const row of indexed()) {
      const wanted = (!band || row.band === band) && (!remark || row.remarks.includes(remark))
        && words.every((word) => row.text.includes(word));
      row.item.hidden = !wanted;
    }
    for (const section of document.querySelectorAll(".band")) section.hidden = Boolean(band) && section.id !== band;
    tell("");
  }

  const orders = {
    rank: (a, b) => a.rank - b.rank,
    score: (a, b) => (Number.isNaN(a.score) - Number.isNaN(b.score)) || (b.score - a.score) || (a.rank - b.rank),
    name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
    time: (a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.rank - b.rank),
  };

  function sort() {
    const order = byId("sort");
    const rows = [...indexed()].sort(orders[order.value]);
    // Emptied first: browsers take a square of the time to move rows about within a list.
    for (const list of lists) list.replaceChildren();
    for (const row of rows) row.list.append(row.item);
    tell(order.value === "rank" ? "" : `sorted by ${order.selectedOptions[0].textContent}`);
  }

  function step(by) {
    const shown = [...document.querySelectorAll(".band:not([hidden]) .rows > li:not([hidden]) > details > summary")];
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

  function switchMap(on) {
    overlay.checked = on;
    byId("map").setAttribute("aria-pressed", String(on));
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
    o: () => overlay && switchMap(!overlay.checked),
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

  // Five thousand rows of empty fields would slow the page: a row gets its own when it is opened.
  function opened(event) {
    const body = event.target.querySelector(".rows .opened");
    if (body && !body.querySelector(".reader")) body.append(byId("reader").content.cloneNode(true));
  }

  function entries(item) {
    return { reader: item.querySelector(".reader input")?.value ?? "", agree: item.querySelector(".reader select")?.value ?? "" };
  }

  let lastReader = "";
  function entered(event) {
    const fields = event.target.closest(".reader");
    if (!fields) return;
    const [reader, agree] = [fields.querySelector("input"), fields.querySelector("select")];
    if (event.target === agree && agree.value && !reader.value) reader.value = lastReader;
    lastReader = reader.value || lastReader;
    unsaved = true;
    const item = fields.closest("li");
    if (reader.value || agree.value) item.dataset.entry = `read by ${reader.value || "-"}, agree ${agree.value || "-"}`;
    else delete item.dataset.entry;
  }

  // As in triage.csv: a quote in front keeps a spreadsheet from running a text as a formula, also
  // behind a `;`, which separates cells where the comma is decimal.
  function cell(text) {
    const safe = text.replaceAll(/(^|;)(?=['\t\r]|[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])/gu, "$1'");
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function line({ item, name, score }) {
    const { reader, agree } = entries(item);
    const number = Number.isNaN(score) ? "" : score.toFixed(6);
    const sha256 = item.querySelector("code")?.textContent ?? "";
    const rank = item.querySelector(".rank").textContent;
    const flagged = item.dataset.flagged ?? "";
    return [rank, cell(name), sha256, number, flagged, cell(reader), agree].join(",");
  }

  function save() {
    const lines = ["rank,path,sha256,probability,flagged,read_by,agree", ...indexed().map(line)];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    link.download = byId("save").dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    unsaved = false;
    tell(`${document.querySelectorAll("[data-entry]").length} entries saved`);
  }

  for (const id of ["band", "remark"]) byId(id).addEventListener("change", filter);
  // Escape clears the field in some browsers, which is no "input" to them.
  for (const event of ["input", "change", "search"]) byId("find").addEventListener(event, filter);
  byId("sort").addEventListener("change", sort);
  byId("save").addEventListener("click", save);
  byId("keys").addEventListener("click", keys.get("?"));
  byId("close").addEventListener("click", () => byId("help").close());
  byId("map")?.addEventListener("click", () => switchMap(!overlay.checked));
  overlay?.addEventListener("change", () => switchMap(overlay.checked));
  document.addEventListener("keydown", press);
  document.addEventListener("input", entered);
  document.addEventListener("toggle", opened, true);
  addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
  tell("");
  byId("tools").hidden = false;
})();
