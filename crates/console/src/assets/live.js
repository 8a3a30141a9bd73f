// The live page: polls its data, shows it as text, pauses and filters.

const live = document.getElementById("live");
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
const filter = document.getElementById("live-filter");
let data = { events: [], attempts: [], only_latest: {} };
let paused = false;

document.getElementById("live-needs").remove();
state.textContent = "Waiting for the first answer …";

const cell = (content) => {
  const td = document.createElement("td");
  td.append(content);
  return td;
};
const link = (href, text) => {
  const a = document.createElement("a");
  a.href = href;
  a.textContent = text;
  return a;
};
const time = (at) => {
  const element = document.createElement("time");
  element.dateTime = at;
  element.title = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
  element.textContent = new Date(at).toLocaleTimeString();
  return element;
};
const badge = (outcome, reason) => {
  const span = document.createElement("span");
  span.className = `badge ${{ delivered: "good", throttled: "fair", failed: "bad" }[outcome] ?? ""}`;
  span.textContent = outcome.replaceAll("_", " ") + (reason ? `: ${reason}` : "");
  return span;
};
const rows = (id, items, cells) => {
  const body = document.getElementById(id);
  if (!body) return 0;
  const wanted = filter.value.toLowerCase();
  const shown = items.filter((item) => JSON.stringify(item).toLowerCase().includes(wanted));
  // Rows stay as they are, so that the focus stays where it is.
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wantedRows = shown.map((item) => {
    const key = JSON.stringify(item);
    const row = known.get(key) ?? document.createElement("tr");
    if (!known.has(key)) {
      row.dataset.key = key;
      row.append(...cells(item).map(cell));
    }
    return row;
  });
  for (const row of [...body.rows]) if (!wantedRows.includes(row)) row.remove();
  wantedRows.forEach((row, place) => { if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null); });
  return shown.length;
};

const show = () => {
  const arrived = rows("live-events", data.events, (one) => [time(one.at), one.type, link(one.page, one.id)]);
  const sent = rows("live-attempts", data.attempts, (one) => [
    time(one.at), link(one.to_page, one.to), one.type, link(one.page, one.id), badge(one.outcome, one.reason), `${one.ms} ms`,
  ]);
  // Lists end at the latest ones: then there were more in this minute.
  const counted = (capped, shown) => (capped && shown ? `the latest ${shown}` : shown);
  const { events, attempts } = data.only_latest;
  return `${counted(events, arrived)} events and ${counted(attempts, sent)} attempts in the last minute`;
};

const poll = async () => {
  if (paused || document.hidden) return;
  try {
    const response = await fetch(live.dataset.source, { redirect: "error", headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`the platform answered ${response.status}`);
    data = await response.json();
    if (!paused) state.textContent = show();
  } catch (error) {
    state.textContent = `No current data: ${error.message}. Reload the page if this stays.`;
  }
};

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Continue" : "Pause";
  if (paused) state.textContent = `Paused. ${show()}`;
  else poll();
});
filter.addEventListener("input", () => { state.textContent = show(); });

const again = async () => {
  await poll();
  setTimeout(again, Number(live.dataset.every));
};
again();
