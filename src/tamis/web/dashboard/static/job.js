// A job as it goes on: its curves, drawn anew as figures come, and its progress. Without a stream the page asks for itself.

import { themed } from "./charts.js";
import { ask, hold } from "./page.js";

const LIVE = "live-job", AGAIN_MS = 10000, PLOT_PX = 210, ABOVE = 3;
const loss = document.getElementById("curve-loss");
const quality = document.getElementById("curve-quality");
const options = document.getElementById("curve-options");
let figures = JSON.parse(document.getElementById("job-curves").dataset.curves);
let source = null, later;

const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function line(name, x, y, extra) {
  const dots = x.length <= 60 ? "lines+markers" : "lines";
  return { type: "scatter", mode: dots, name: plain(name), x, y, marker: { size: 4 }, line: { width: 2 }, connectgaps: true, ...extra };
}

// A dotted line where the best checkpoint is.
function marks(x) {
  if (figures.best === null) return {};
  const at = x[figures.best];
  const shape = { type: "line", x0: at, x1: at, y0: 0, y1: 1, yref: "paper", line: { color: color("--edge"), width: 1, dash: "dot" } };
  const note = { x: at, y: 1, yref: "paper", text: "best", showarrow: false, xanchor: "left", yanchor: "top", xshift: 4, font: { color: color("--soft"), size: 12 } };
  return { shapes: [shape], annotations: [note] };
}

// Where there are many curves their names stand below, one a line: there is no room for them above on a narrow screen.
function layoutOf(x, along, yaxis, names) {
  const soft = { color: color("--soft"), size: 12 };
  const title = { text: along === "epoch" ? "passes over the data" : "steps of 65,536 tokens", standoff: 8, font: soft };
  const many = names > ABOVE;
  const below = { orientation: "v", yanchor: "top", y: -62 / PLOT_PX, x: 0, xanchor: "left" };
  return themed({
    height: PLOT_PX + 90 + (many ? names * 20 : 0), margin: { l: 52, r: 12, t: 34, b: 56 + (many ? names * 20 : 0) },
    xaxis: { title, rangemode: "tozero", automargin: false }, yaxis: { ...yaxis, automargin: false },
    uirevision: along, hovermode: "x unified", showlegend: true, legend: { tracegroupgap: 0, ...(many ? below : {}) }, ...marks(x),
  });
}

const SHARES = { tickformat: ".3~p", hoverformat: ".1%", autorangeoptions: { minallowed: -0.01, maxallowed: 1.01 } };

function draw() {
  const any = figures.step.length > 0;
  if (!loss || typeof Plotly === "undefined" || !any) return;
  document.getElementById("job-charts").hidden = false;
  document.getElementById("chart-quality").hidden = figures.quality.length === 0;
  const best = document.getElementById("job-best");
  best.textContent = figures.told;
  best.closest(".best").hidden = !figures.told;
  options.hidden = false;
  const along = figures.epoch.every((value) => value === null) ? "step" : options.elements.along.value;
  const x = figures[along];
  const config = { responsive: true, displayModeBar: false };
  const losses = [line("training", x, figures.train_loss)];
  if (figures.valid_loss.some((value) => value !== null)) losses.push(line("validation", x, figures.valid_loss));
  const type = options.elements.log.checked ? "log" : "linear";
  const scale = type === "log" ? { type, dtick: "D2" } : { type, rangemode: "tozero", dtick: null };
  Plotly.react(loss, losses, layoutOf(x, along, scale, losses.length), config);
  if (figures.quality.length === 0) return;
  const named = ({ name, figure }) => (name && figures.quality.length > 1 ? `${name}, ${figure}` : figure);
  const colors = themed({}).colorway;
  const right = figures.quality.flatMap((each, place) => {
    const of = colors[place % colors.length];
    const held = line(named(each), x, each.values, { legendgroup: String(place), marker: { size: 4, color: of }, line: { width: 2, color: of } });
    if (!each.training) return [held];
    return [held, line(`${named(each)}, in training`, x, each.training, { legendgroup: String(place), showlegend: false, mode: "lines", line: { width: 1.5, color: of, dash: "dash" } })];
  });
  const both = right.length > figures.quality.length;
  document.getElementById("curve-dashed").hidden = !both;
  if (both) right.push(line("in training", [null], [null], { mode: "lines", hoverinfo: "skip", line: { width: 1.5, color: color("--soft"), dash: "dash" } }));
  const names = figures.quality.length + both;
  Plotly.react(quality, right, layoutOf(x, along, SHARES, names), config);
}

function show({ share, told }) {
  const bar = document.getElementById("job-progress");
  if (!bar) return;
  if (typeof share === "number") bar.value = share;
  document.getElementById("job-told").textContent = told;
}

function stop() {
  clearTimeout(later);
  source?.close();
  source = null;
  hold(LIVE, false);
}

function connect() {
  const address = document.getElementById(LIVE).dataset.stream;
  if (!address || source || document.hidden) return;
  source = new EventSource(address);
  const on = (name, act) => source.addEventListener(name, (event) => act(JSON.parse(event.data)));
  source.addEventListener("open", () => hold(LIVE, true));
  source.addEventListener("error", () => {
    hold(LIVE, false);
    if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    stop();
    later = setTimeout(connect, AGAIN_MS);
  });
  on("curves", (news) => {
    figures = news;
    draw();
  });
  on("progress", show);
  on("changed", () => ask(LIVE));
  on("over", stop);
}

document.addEventListener("fresh", ({ detail }) => {
  if (detail.id === LIVE && !detail.dataset.stream) stop();
  if (detail.id !== "job-curves") return;
  figures = JSON.parse(detail.dataset.curves);
  draw();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return stop();
  if (document.getElementById(LIVE).dataset.stream) ask(LIVE);
  connect();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
options?.addEventListener("change", draw);
options?.addEventListener("submit", (event) => event.preventDefault());
draw();
connect();
