// Draws the plotly figures of a page in its colours; a figure is JSON beside the place where it stands.

const small = matchMedia("(max-width: 40rem)");

function merge(base, over) {
  for (const [key, value] of Object.entries(over)) {
    const both = value && typeof value === "object" && !Array.isArray(value) && base[key];
    base[key] = both ? merge(base[key], value) : value;
  }
  return base;
}

export function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = () => ({ gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line"), automargin: true });
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 8, r: 8, t: 36, b: 8 },
    font: { family: style.getPropertyValue("--sans"), size: 13, color: color("--ink") },
    hoverlabel: { bgcolor: color("--raised"), bordercolor: color("--line"), font: { color: color("--ink") } },
    legend: { orientation: "h", yanchor: "bottom", y: 1.02, x: 0 }, modebar: { bgcolor: "rgba(0,0,0,0)" },
    colorway: ["#1b8a8a", "#e08a2c", "#6a7fd1", "#c2557b", "#7aa33d", "#8c6d5a", "#4aa3d8", "#a06bc4"],
  };
  const names = Object.keys(layout).filter((key) => /^[xy]axis[0-9]*$/.test(key));
  for (const key of new Set(["xaxis", "yaxis", ...names])) base[key] = axis();
  return merge(base, structuredClone(layout));
}

export function draw(root) {
  if (typeof Plotly === "undefined") return;
  for (const place of root.querySelectorAll("[data-figure]")) {
    const figure = JSON.parse(place.closest("figure").querySelector('script[type="application/json"]').textContent);
    const { layout = {}, min_width = figure.min_width ?? 0 } = (small.matches && figure.narrow) || {};
    place.style.minWidth = `${min_width}px`;
    const options = { responsive: true, displaylogo: false, displayModeBar: figure.bar ?? false };
    Plotly.react(place, figure.data, themed(merge(figure.layout, layout)), options);
  }
}

document.addEventListener("toggle", (event) => {
  if (event.target.open) for (const place of event.target.querySelectorAll(".plot")) Plotly.Plots.resize(place);
}, true);
document.addEventListener("fresh", (event) => draw(event.detail));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(document));
small.addEventListener("change", () => draw(document));
draw(document);
